"""Who may use the gateway. Decisions are pure; files and databases are read beside them."""
