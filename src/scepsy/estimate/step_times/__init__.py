"""How long an engine step takes: from a table, the oracle, a roofline, or a profile."""
