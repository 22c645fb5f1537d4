"""The one OpenAI-compatible data plane: records calls and routes them to replicas."""
