"""What runs on a simulated cluster: arrivals, recorded runs, and workflows as programs (pure)."""
