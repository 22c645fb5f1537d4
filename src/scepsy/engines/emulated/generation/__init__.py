"""Makes the answers of an emulated LLM: text, tool calls and JSON, drawn from a seed (pure)."""
