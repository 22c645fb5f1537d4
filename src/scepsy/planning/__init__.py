"""From traces and profiles to a plan, and the reasons for it (pure)."""
