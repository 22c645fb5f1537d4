"""Latency of an engine under load, from simulated closed and open queues of traced runs (pure)."""
