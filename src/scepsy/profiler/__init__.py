"""Measures engines by replaying traced calls: latency against arrival rate, and the rate at which
an engine saturates. It chooses the rates itself.
"""

from scepsy.curves.jobs import Job, jobs
from scepsy.profiler.round_log import RoundLog
from scepsy.profiler.run import profile
from scepsy.profiler.setup import DONE, ProfileSetup
from scepsy.profiler.sweep.next_round import SweepSettings

__all__ = ["DONE", "Job", "ProfileSetup", "RoundLog", "SweepSettings", "jobs", "profile"]
