"""Measures what engines can do, by replaying the traced calls at rising rates."""

from scepsy.profiler.jobs import Job, jobs
from scepsy.profiler.run import profile
from scepsy.profiler.sweep import SweepSettings

__all__ = ["Job", "SweepSettings", "jobs", "profile"]
