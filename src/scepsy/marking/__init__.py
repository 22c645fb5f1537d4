"""Marks the LLM calls of a piece of code as those of one run of a workflow."""

from __future__ import annotations

from scepsy.marking.mark import RUN_HEADER, WORKFLOW_HEADER, check_name, new_run, workflow

__all__ = ["RUN_HEADER", "WORKFLOW_HEADER", "check_name", "new_run", "workflow"]
