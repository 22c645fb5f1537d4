"""Analysis of recorded calls: demand, dependencies, time shares, calls without a run (pure)."""
