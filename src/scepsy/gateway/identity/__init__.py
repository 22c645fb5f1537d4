"""Which workflow run a call belongs to: from its labels, or from its content and timing."""
