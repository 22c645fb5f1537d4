"""Sentences about the interval of a predicted mean latency: its ends, its causes, and what would
reduce each of them (pure).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from scepsy.core.plan import IntervalParts, Prediction, WorkflowPrediction
from scepsy.planning.uncertainty import RUNS_MIN
from scepsy.predict.interval import runs_to_halve

SHOWN = 0.005
"""Relative half-width above which a cause is named: a smaller one would be printed as 0%."""

FACTOR = 0.4
"""Half-width above which a factor is printed instead of a percentage: +49% at one end of the
interval is -33% at the other.
"""


def sentences(prediction: Prediction) -> Iterator[str]:
    """One sentence for each workflow."""
    for flow in prediction.workflows:
        yield _sentence(flow)


def _sentence(flow: WorkflowPrediction) -> str:
    mean = f"The mean latency of {flow.workflow} is predicted as {flow.latency_mean:.3g} s"
    if flow.interval_parts is None or flow.latency_low is None or flow.latency_high is None:
        return (
            f"{mean}, without an interval: that needs at least {RUNS_MIN} traced runs that tell "
            "how long each of their calls took"
        )
    within = f"between {flow.latency_low:.3g} and {flow.latency_high:.3g} s"
    causes = "; ".join(_causes(flow.interval_parts))
    because = f" ({causes})" if causes else ""
    return f"{mean}; with 90% confidence it lies {within}{because}"


def _causes(parts: IntervalParts) -> Iterator[str]:
    """The causes with their half-widths, the largest first."""
    causes = [
        (parts.runs, f"because only {parts.traced} runs were traced: {_more_runs(parts)}"),
        (parts.curves, "for noise of the latency curves: longer profiling makes it smaller"),
        (parts.model, "for errors of the predictor at this load"),
        (parts.estimate, "because curves are estimated: `scepsy profile` measures them"),
    ]
    for width, text in sorted(causes, key=lambda cause: -cause[0]):
        if width >= SHOWN:
            yield f"{width_text(width)} {text}"


def width_text(width: float) -> str:
    """The half-width of an interval of the logarithm of a latency: "±9%", or "a factor of 1.8"
    if it is so wide that its two ends differ much in percent.
    """
    factor = math.exp(width)
    if width < FACTOR:
        return f"±{factor - 1:.0%}"
    return f"a factor of {factor:,.0f}" if factor >= 10 else f"a factor of {factor:.2g}"


def _more_runs(parts: IntervalParts) -> str:
    """The approximate number of additional runs that would halve the interval; or, where other
    causes are too large for that, this part of it.
    """
    whole = runs_to_halve(parts)
    if whole is not None:
        return f"about {_two_digits(whole)} more would halve the interval"
    return f"about {_two_digits(3 * parts.traced)} more would halve this part"


def _two_digits(count: int) -> int:
    """The count, rounded up to two significant digits."""
    unit = 10 ** max(0, len(str(count)) - 2)
    return math.ceil(count / unit) * unit
