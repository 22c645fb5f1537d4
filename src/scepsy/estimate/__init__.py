"""Profiles of GPUs that are not at hand: step times from a table, an oracle or a roofline."""
