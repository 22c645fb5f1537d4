"""Measures what engines can do, by replaying the traced calls at rates that it chooses itself."""

from scepsy.curves.jobs import Job, jobs
from scepsy.profiler.bench import DONE, Bench
from scepsy.profiler.round_log import RoundLog
from scepsy.profiler.run import profile
from scepsy.profiler.sweep.next_round import SweepSettings

__all__ = ["DONE", "Bench", "Job", "RoundLog", "SweepSettings", "jobs", "profile"]
