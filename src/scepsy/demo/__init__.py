"""The whole job on one machine: trace, profile, plan, deploy, drive, compare."""

from scepsy.demo.run import run
from scepsy.demo.settings import DemoProgram, DemoSettings

__all__ = ["DemoProgram", "DemoSettings", "run"]
