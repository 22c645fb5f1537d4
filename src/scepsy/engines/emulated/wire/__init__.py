"""Reads requests and writes answers and errors in vLLM's formats, with vLLM's limits."""
