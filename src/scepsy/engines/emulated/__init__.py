"""An engine without a GPU: vLLM's HTTP interface in front of a simulated engine in real time."""
