"""Marks the LLM calls of a piece of code as those of one run of a workflow."""

from __future__ import annotations

from pathlib import Path

from scepsy.marking.mark import OPENED_HEADER, RUN_HEADER, WORKFLOW_HEADER, check_name, new_run
from scepsy.marking.workflow import workflow

SITE = Path(__file__).with_name("site")
"""On a program's PYTHONPATH, with SCEPSY_AUTO set to a workflow's name, runs open by themselves."""

__all__ = [
    "OPENED_HEADER",
    "RUN_HEADER",
    "SITE",
    "WORKFLOW_HEADER",
    "check_name",
    "new_run",
    "workflow",
]
