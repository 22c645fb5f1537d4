"""The fake engine, the load, the clocks and the systems of `benchmarks/gateway_cost.py`."""
