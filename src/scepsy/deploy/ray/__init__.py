"""Deployments on a Ray cluster: actors own the engine processes, on the GPUs of the plan."""
