"""The error of estimated latencies against measured ones."""

from __future__ import annotations

from scepsy.core.llm import LlmSpec

DENSE_ERROR = 0.11
"""Mean absolute relative error of a call's latency for dense LLMs, over measured serving points.

The oracle and the roofline have the same error (docs/evaluation/estimates.md). A user's measured
table gets the same value, since most of the error is in the model of the engine around its steps.
"""

MIXTURE_ERROR = 0.25
"""The same for mixtures of experts, whose tokens visit experts less evenly than the model
assumes.
"""


def relative_error(llm: LlmSpec) -> float:
    """Mean absolute error of an estimated mean latency, relative to that latency."""
    return MIXTURE_ERROR if llm.experts else DENSE_ERROR
