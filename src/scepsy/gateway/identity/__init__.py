"""Which workflow run a call belongs to: as the call says, or as its content and timing tell."""
