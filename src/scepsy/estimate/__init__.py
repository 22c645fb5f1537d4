"""Estimated profiles, for GPUs that are not available: from step times of a table, an oracle or a
roofline to curves of latency against arrival rate.

It measures nothing; that is `profiler`.
"""
