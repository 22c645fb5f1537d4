"""Chooses the next round to measure, from the rounds measured so far (pure).

First the idle engine is measured, then the engine kept full, for a first estimate of saturation.
Bisection around that estimate follows. After that, each round goes where it reduces the curve's
uncertainty most, until the curve is precise enough or the budget is spent. The choice depends on
the rounds alone, so an interrupted sweep continues as if it had not been interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from scepsy.curves.batch_means import mean_latency
from scepsy.curves.rounds import ReplayUnit, Round, RoundKind, RoundSpec, TypicalCalls
from scepsy.errors import EngineFailed
from scepsy.profiler.replay.schedule import Gaps
from scepsy.profiler.sweep.refine import KnownRate, next_rate
from scepsy.profiler.sweep.saturation import Saturation, closed_throughput, saturation

HIGHEST_RATE = 0.9
"""The highest rate of a curve, as a part of the rate at which the engine saturates. Nearer to
saturation, a measurement of seconds cannot find the mean latency.
"""

_ROUND_BUDGETS: dict[RoundKind, float] = {
    "idle": 1 / 12,
    "full": 1 / 12,
    "bursts": 1 / 10,
    "runs": 1 / 5,
}
"""The part of the budget that one round takes, unless calls are long. Open-loop rounds take longer,
because the longest queues come from fluctuations of the load that last longer than a short round.
"""

_CALLS_MIN = 40
"""Calls in a round. With fewer, the mean latency is too uncertain to be of use."""

_SEARCH_BUDGET = 0.35
"""The part of the budget after which the search for saturation ends."""

_CURVE_POINTS_MIN = 3
"""Rates, the idle engine included, that a curve needs before the last of the budget may be left."""

_ROUND_MAX = 1 / 4
"""The part of the budget that a round takes at most, however long calls are."""


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """How thoroughly to measure one engine.

    Attributes:
        budget: seconds to spend. The rounds that every curve needs may take longer.
        precision: half the width of the 95% interval that is narrow enough, relative to the mean.
        max_rate: most calls per second to offer. Saturation above this rate is not looked for, and
            the throughput of such a curve is a lower bound.
        warmup: first part of each round, 0 to 1, whose calls are sent but not counted.
        replay: what arrives open-loop: whole runs, or single bursts. Saturation is always searched
            with bursts, because their backlog shows sooner.
        gaps: the times between arrivals.
    """

    budget: float = 60.0
    precision: float = 0.05
    max_rate: float = 200.0
    warmup: float = 0.25
    replay: ReplayUnit = "runs"
    gaps: Gaps = "poisson"

    def times(self, effort: float) -> SweepSettings:
        """The settings with the budget multiplied by `effort`."""
        return replace(self, budget=effort * self.budget)


def next_step(
    rounds: Sequence[Round], typical: TypicalCalls, settings: SweepSettings
) -> RoundSpec | None:
    """The next round; None where the curve is finished.

    Raises EngineFailed where the engine, kept full, finished no call.
    """
    idle, full = _of(rounds, "idle"), _of(rounds, "full")
    if not idle:
        return RoundSpec("idle", 0.0, 0, settings.budget * _ROUND_BUDGETS["idle"])
    if not full:
        return _step(rounds, "full", 0.0, settings)
    found = saturated(rounds, typical, settings)
    left = left_of(rounds, settings)
    searching = left > (1 - _SEARCH_BUDGET) * settings.budget or not _of(rounds, "bursts")
    if searching and (rate := found.next) is not None:
        return _step(rounds, "bursts", rate, settings)
    loads = _loads(rounds, found.rate, typical, settings)
    if left < settings.budget * _ROUND_BUDGETS["runs"] / 2 and len(loads) >= _CURVE_POINTS_MIN:
        return None
    rate = next_rate(loads, HIGHEST_RATE * found.rate, settings.precision)
    if rate is None:
        return None
    return _step(rounds, settings.replay if rate else "idle", rate, settings)


def left_of(rounds: Sequence[Round], settings: SweepSettings) -> float:
    """Seconds of the budget that are left."""
    return max(0.0, settings.budget - sum(one.wall for one in rounds))


def saturated(
    rounds: Sequence[Round], typical: TypicalCalls, settings: SweepSettings
) -> Saturation:
    """The rate at which the engine saturates, as far as the rounds show it.

    Raises EngineFailed where the engine, kept full, finished no call.
    """
    guess = fmean(closed_throughput(one, settings.warmup) for one in _of(rounds, "full"))
    if not guess:
        raise EngineFailed("no call finished while the engine was kept full; allow a larger budget")
    bursts = _of(rounds, "bursts")
    return saturation(guess, settings.max_rate, bursts, typical, settings.warmup)


def curve_rounds(
    rounds: Sequence[Round], below: float, settings: SweepSettings
) -> dict[float, list[Round]]:
    """The rounds of a curve by their offered rate, in rising order: the idle engine at 0, then
    every rate `below` saturation.
    """
    found: dict[float, list[Round]] = {}
    for one in sorted(rounds, key=lambda one: (one.rate, one.number)):
        if one.kind == "idle" or (one.kind == settings.replay and one.rate < below):
            found.setdefault(one.rate, []).append(one)
    return found


def _loads(
    rounds: Sequence[Round], below: float, typical: TypicalCalls, settings: SweepSettings
) -> list[KnownRate]:
    loads: list[KnownRate] = []
    for rate, found in curve_rounds(rounds, below, settings).items():
        samples = [one.after(settings.warmup) for one in found]
        if any(samples):
            known = mean_latency(samples, typical)
            loads.append(KnownRate(rate, known.mean, known.half_width, len(found)))
    return loads


def _step(
    rounds: Sequence[Round], kind: RoundKind, rate: float, settings: SweepSettings
) -> RoundSpec:
    """A round at least twice as long as a call to the idle engine, so that a queue has time to
    build up, and long enough for some calls even at a low rate.
    """
    before = sum(one.kind == kind and one.rate == rate for one in rounds)
    call = fmean(sample.latency for one in _of(rounds, "idle") for sample in one.samples)
    least = max(2 * call, _CALLS_MIN / rate if rate else 0.0)
    seconds = max(settings.budget * _ROUND_BUDGETS[kind], min(least, _ROUND_MAX * settings.budget))
    return RoundSpec(kind, rate, before, seconds)


def _of(rounds: Sequence[Round], kind: RoundKind) -> list[Round]:
    return [one for one in rounds if one.kind == kind]
