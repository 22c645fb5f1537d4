"""The endpoints of an emulated engine, as vLLM has them."""
