"""What to measure next, from what was measured so far (pure).

The idle engine; the engine kept full, for a first guess at saturation; bisection around the guess;
then the rates where another round makes the curve surest, until it is sure enough or the budget is
spent. Nothing but the rounds decides, so that a sweep that was cut short goes on as if it had not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from scepsy.curves.batch_means import estimate
from scepsy.curves.rounds import Kind, ReplayUnit, Round, RoundSpec, TypicalCalls
from scepsy.errors import EngineFailed
from scepsy.profiler.replay.schedule import Gaps
from scepsy.profiler.sweep.refine import KnownRate, next_rate
from scepsy.profiler.sweep.saturation import Saturation, closed_throughput, saturation

HIGHEST = 0.9
"""The highest rate of a curve, as a part of saturation. Closer to it latency has no mean that a
measurement of seconds could find.
"""

_PARTS: dict[Kind, float] = {"idle": 1 / 12, "full": 1 / 12, "bursts": 1 / 10, "runs": 1 / 5}
"""The part of the budget that a round takes, unless calls are long. What tells of queues must be
long: a round has as many arrivals as its rate says, and the waves that are longer than it, which
make the longest queues, are not in it.
"""

_CALLS = 40
"""Fewer in a round, in bursts at that, say little."""

_SEARCH = 0.35
"""The part of the budget by whose end saturation is found well enough."""


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """How thoroughly to measure one engine.

    Attributes:
        budget: seconds to spend; what must be measured at least may take longer.
        precision: half the width of the 95% interval, relative to the mean, that is narrow enough.
        max_rate: most calls per second to offer: beyond what any target could ask, or what this
            machine can send, saturation is not looked for and the curve's is a lower bound.
        warmup: first part of each round, which is sent but not counted.
        replay: what arrives open-loop: whole runs, or single bursts. Saturation is sought with
            bursts, whose backlog shows sooner.
        gaps: how they arrive.
    """

    budget: float = 60.0
    precision: float = 0.05
    max_rate: float = 200.0
    warmup: float = 0.25
    replay: ReplayUnit = "runs"
    gaps: Gaps = "poisson"

    def times(self, effort: float) -> SweepSettings:
        """The same with a larger or smaller budget."""
        return replace(self, budget=effort * self.budget)


def next_step(
    rounds: Sequence[Round], typical: TypicalCalls, settings: SweepSettings
) -> RoundSpec | None:
    """None where it is done.

    Raises EngineFailed where the engine, kept full, finished no call.
    """
    idle, full = _of(rounds, "idle"), _of(rounds, "full")
    if not idle:
        return RoundSpec("idle", 0.0, 0, settings.budget * _PARTS["idle"])
    if not full:
        return _step(rounds, "full", 0.0, settings)
    found = saturated(rounds, typical, settings)
    left = left_of(rounds, settings)
    searching = left > (1 - _SEARCH) * settings.budget or not _of(rounds, "bursts")
    if searching and (rate := found.next) is not None:
        return _step(rounds, "bursts", rate, settings)
    loads = _loads(rounds, found.rate, typical, settings)
    if left < settings.budget * _PARTS["runs"] / 2 and len(loads) > 2:
        return None
    rate = next_rate(loads, HIGHEST * found.rate, settings.precision)
    if rate is None:
        return None
    return _step(rounds, settings.replay if rate else "idle", rate, settings)


def left_of(rounds: Sequence[Round], settings: SweepSettings) -> float:
    """Seconds of the budget that are not spent."""
    return max(0.0, settings.budget - sum(one.wall for one in rounds))


def saturated(
    rounds: Sequence[Round], typical: TypicalCalls, settings: SweepSettings
) -> Saturation:
    """Raises EngineFailed where the engine, kept full, finished no call."""
    guess = fmean(closed_throughput(one, settings.warmup) for one in _of(rounds, "full"))
    if not guess:
        raise EngineFailed("no call finished while the engine was kept full; allow a larger budget")
    bursts = _of(rounds, "bursts")
    return saturation(guess, settings.max_rate, bursts, typical, settings.warmup)


def curve_rounds(
    rounds: Sequence[Round], below: float, settings: SweepSettings
) -> dict[float, list[Round]]:
    """By rate meant, rising: the idle engine at 0, and what was offered below saturation."""
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
            known = estimate(samples, typical)
            loads.append(KnownRate(rate, known.mean, known.half_width, len(found)))
    return loads


def _step(rounds: Sequence[Round], kind: Kind, rate: float, settings: SweepSettings) -> RoundSpec:
    """Twice as long as an idle engine's call, so that a queue has time to show itself; and long
    enough for some calls, where they are rare.
    """
    before = sum(one.kind == kind and one.rate == rate for one in rounds)
    call = fmean(sample.latency for one in _of(rounds, "idle") for sample in one.samples)
    least = max(2 * call, _CALLS / rate if rate else 0.0)
    seconds = max(settings.budget * _PARTS[kind], min(least, settings.budget / 4))
    return RoundSpec(kind, rate, before, seconds)


def _of(rounds: Sequence[Round], kind: Kind) -> list[Round]:
    return [one for one in rounds if one.kind == kind]
