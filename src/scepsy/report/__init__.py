"""The HTML report: a plan, what it promised, and what was measured, on one self-contained page."""

from scepsy.report.html import render

__all__ = ["render"]
