"""How an emulated engine reads requests and writes answers and errors: vLLM's shapes and limits."""
