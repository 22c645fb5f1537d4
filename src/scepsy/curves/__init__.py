"""What profiles and estimates share: bursts of traced calls, rounds, and batch means (pure)."""
