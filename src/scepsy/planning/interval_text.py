"""What a predicted mean latency may be off by, in sentences: the interval, its causes, and what
would shrink each of them (pure).
"""

from __future__ import annotations

from collections.abc import Iterator

from scepsy.core.plan import IntervalParts, Prediction, WorkflowPrediction
from scepsy.predict.interval import runs_to_halve

SHOWN = 0.005
"""Half-width, relative, from which on a cause is named: less would read as 0%."""


def sentences(prediction: Prediction) -> Iterator[str]:
    """One for each workflow."""
    for flow in prediction.workflows:
        yield _sentence(flow)


def _sentence(flow: WorkflowPrediction) -> str:
    mean = f"The mean latency of {flow.workflow} is predicted as {flow.latency_mean:.3g} s"
    if flow.interval_parts is None or flow.latency_low is None or flow.latency_high is None:
        return (
            f"{mean}, without an interval: that needs at least two traced runs that tell how long "
            "each of their calls took"
        )
    causes = "; ".join(_causes(flow.interval_parts)) or "every cause is below 0.5%"
    return (
        f"{mean}, and lies between {flow.latency_low:.3g} and {flow.latency_high:.3g} s with 90% "
        f"confidence: {causes}"
    )


def _causes(parts: IntervalParts) -> Iterator[str]:
    """The largest first."""
    named = {
        f"±{parts.runs:.0%} for the {parts.traced} traced runs ({_more_runs(parts)})": parts.runs,
        f"±{parts.curves:.0%} for noise of the latency curves (profile for longer)": parts.curves,
        f"±{parts.model:.0%} for the predictor at this load (less load on each replica)": (
            parts.model
        ),
        f"±{parts.estimate:.0%} for estimated curves (measure them with `scepsy profile`)": (
            parts.estimate
        ),
    }
    for text, width in sorted(named.items(), key=lambda one: -one[1]):
        if width >= SHOWN:
            yield text


def _more_runs(parts: IntervalParts) -> str:
    """How many would halve the interval; where other causes are too large, this one."""
    whole = runs_to_halve(parts)
    if whole is not None:
        return f"{whole} more would halve the interval"
    return f"{3 * parts.traced} more would halve this"
