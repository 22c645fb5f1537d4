"""Several gateway processes on one port, started, governed and counted by a parent."""
