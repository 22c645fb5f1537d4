"""The whole job on one machine: trace, profile, plan, deploy, drive, compare."""

from scepsy.demo.run import run
from scepsy.demo.settings import DemoSettings, Program

__all__ = ["DemoSettings", "Program", "run"]
