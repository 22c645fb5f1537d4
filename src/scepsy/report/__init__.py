"""The HTML report: a plan, its prediction and the measurements, on one self-contained page."""

from scepsy.report.html import render

__all__ = ["render"]
