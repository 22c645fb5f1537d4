"""What a simulation has shown, and comparisons of plans under the same runs (pure)."""
