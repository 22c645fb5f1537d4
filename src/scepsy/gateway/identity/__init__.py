"""Which workflow run a call belongs to: by its labels, by what it echoes, or by what it quotes."""
