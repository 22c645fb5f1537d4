"""What recorded calls tell: demand, dependency graphs, time shares, lone runs (pure)."""
