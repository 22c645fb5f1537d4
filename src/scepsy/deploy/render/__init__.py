"""A plan as the configuration of other systems, and as text (pure)."""
