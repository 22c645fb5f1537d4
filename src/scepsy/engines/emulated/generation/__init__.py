"""What an emulated LLM answers: text, tool calls and JSON, drawn from a seed (pure)."""
