"""Which replica serves a call, and which call goes first; gateway and simulator ask here (pure)."""
