"""What GPUs and LLMs are: sizes, memory, step time, neighbours. Each fact is here once (pure)."""
