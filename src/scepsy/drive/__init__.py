"""Drives workflows at a given rate and measures them; runs programs whose LLM calls are marked."""

from __future__ import annotations

from scepsy.drive.children import ChildResult, trace_children
from scepsy.drive.driver import DriveInterrupted, DriveProgress, drive
from scepsy.drive.engine_load import LlmLoad, engines_read, llm_loads
from scepsy.drive.inputs import read_inputs, read_lines
from scepsy.drive.loading import load_function
from scepsy.drive.result import DriveResult, RunOutcome, WorkflowMeasurement
from scepsy.drive.workload import Workload

__all__ = [
    "ChildResult",
    "DriveInterrupted",
    "DriveProgress",
    "DriveResult",
    "LlmLoad",
    "RunOutcome",
    "WorkflowMeasurement",
    "Workload",
    "drive",
    "engines_read",
    "llm_loads",
    "load_function",
    "read_inputs",
    "read_lines",
    "trace_children",
]
