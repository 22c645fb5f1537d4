"""Engines and clusters in simulated time, for plans that have no GPUs yet (pure).

It owns no routing rule (`routing`) and no step times or memory sizes (`hardware`).
"""
