"""All replicas of a deployment in simulated time, and the queue of events (pure)."""
