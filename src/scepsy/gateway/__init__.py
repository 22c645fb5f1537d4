"""The OpenAI-compatible data plane: records calls and routes them to replicas.

The rule for choosing a replica is in `routing`.
"""
