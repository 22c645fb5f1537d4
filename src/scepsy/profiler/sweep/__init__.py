"""Which arrival rate to measure next, and when an engine is saturated (pure)."""
