"""Measured latency over the simulated latency of the same calls: the ratio by which a simulated
curve is multiplied (pure).

A short round has a mean latency that depends on chance: on which runs arrived, and when. The same
calls, sent at the same times to a simulated engine, meet the same chance. So the ratio of the two
means varies much less than the measured mean does, and

    latency(rate) = simulated latency(rate) in a long simulation * ratio(rate)

is nearly free of the round's chance: a control variate with common random numbers (Law, Simulation
Modeling and Analysis, chapter 11). An error of the simulated step times is in both factors and
cancels to first order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scepsy.curves.batch_means import batches
from scepsy.curves.rounds import Sample
from scepsy.statistics.batch_means import BATCHES


@dataclass(frozen=True, slots=True)
class LatencyRatio:
    """The ratio at one arrival rate, in calls per second, with its standard error `noise`, from
    this many calls.
    """

    rate: float
    ratio: float
    noise: float
    calls: int


Pair = tuple[Sequence[Sample], Sequence[Sample]]
"""Measured calls of one round, and the same calls as they were simulated."""


def latency_ratio(rate: float, rounds: Sequence[Pair]) -> LatencyRatio | None:
    """The ratio over all rounds at one rate; None for no calls, and for calls of a single batch,
    whose standard error is not known.

    The standard error is that of a ratio estimate (Cochran, Sampling Techniques, section 6.4),
    from batches of calls, as in `batch_means.mean_latency`.
    """
    measured = sum(sample.latency for samples, _ in rounds for sample in samples)
    simulated = sum(sample.latency for _, samples in rounds for sample in samples)
    if not simulated:
        return None
    ratio = measured / simulated
    each = max(2, math.ceil(BATCHES / len(rounds)))
    found = [
        batch
        for samples, same in rounds
        for batch in batches(
            samples,
            [one.latency - ratio * two.latency for one, two in zip(samples, same, strict=True)],
            each,
        )
    ]
    if len(found) < 2:
        return None
    squares = sum((batch.calls * batch.latency) ** 2 for batch in found)
    noise = math.sqrt(squares * len(found) / (len(found) - 1)) / simulated
    return LatencyRatio(rate, ratio, noise, sum(batch.calls for batch in found))


def ratio_at(ratios: Sequence[LatencyRatio], rate: float) -> tuple[float, float]:
    """The ratio at any rate and its standard error: linear between the measured rates, which rise,
    and level outside of them.
    """
    high = next((index for index, one in enumerate(ratios) if one.rate >= rate), len(ratios) - 1)
    low = max(0, high - 1)
    below, above = ratios[low], ratios[high]
    gap = above.rate - below.rate
    part = min(1.0, max(0.0, (rate - below.rate) / gap)) if gap > 0 else 1.0
    return (
        (1 - part) * below.ratio + part * above.ratio,
        math.hypot((1 - part) * below.noise, part * above.noise),
    )
