"""Measures what engines can do, by replaying the traced calls at rates that it chooses itself."""

from scepsy.profiler.bench import DONE, Bench
from scepsy.profiler.jobs import Job, jobs
from scepsy.profiler.journal import Journal
from scepsy.profiler.run import profile
from scepsy.profiler.sweep import SweepSettings

__all__ = ["DONE", "Bench", "Job", "Journal", "SweepSettings", "jobs", "profile"]
