"""Marks the LLM calls of a piece of code as those of one run of a workflow."""

from __future__ import annotations

from pathlib import Path

from scepsy.marking.mark import OPENED_HEADER, RUN_HEADER, WORKFLOW_HEADER, check_name, new_run
from scepsy.marking.workflow import workflow

SITE = Path(__file__).with_name("site")
"""With this folder on a program's PYTHONPATH, and SCEPSY_AUTO set to the name of a workflow, runs
are opened automatically.
"""

__all__ = [
    "OPENED_HEADER",
    "RUN_HEADER",
    "SITE",
    "WORKFLOW_HEADER",
    "check_name",
    "new_run",
    "workflow",
]
