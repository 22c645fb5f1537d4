"""Loads workflows and measures them; runs programs as children with their calls marked."""

from __future__ import annotations

from scepsy.drive.children import ChildResult, trace_children
from scepsy.drive.driver import DriveProgress, Workload, drive
from scepsy.drive.inputs import read_inputs, read_lines
from scepsy.drive.loading import load_function
from scepsy.drive.result import DriveResult, RunOutcome, WorkflowMeasurement

__all__ = [
    "ChildResult",
    "DriveProgress",
    "DriveResult",
    "RunOutcome",
    "WorkflowMeasurement",
    "Workload",
    "drive",
    "load_function",
    "read_inputs",
    "read_lines",
    "trace_children",
]
