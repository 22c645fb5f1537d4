"""What measured profiles and estimates have in common: the engine sizes to cover, bursts of traced
calls, rounds of replayed calls, and mean latencies with their standard errors (pure).
"""
