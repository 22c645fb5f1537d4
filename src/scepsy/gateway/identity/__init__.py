"""Which workflow run a call belongs to: named by the call, or inferred from its content and timing."""
