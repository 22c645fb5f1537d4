"""Scepsy: plans, deploys and routes the LLMs of agentic workflows on a GPU cluster."""
