"""One continuous-batching engine as a state machine: its batch, its KV cache, its steps (pure)."""
