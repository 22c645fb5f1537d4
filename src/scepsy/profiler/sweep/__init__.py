"""Chooses the arrival rate to measure next, and finds where an engine saturates (pure)."""
