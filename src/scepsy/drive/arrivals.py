"""When runs arrive, and with which input."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunArrival:
    """A run that is due `time` seconds after the measured window begins. `inputs` holds its input,
    or nothing.
    """

    time: float
    inputs: tuple[object, ...]
    measured: bool


def schedule(
    rate: float, warmup: float, duration: float, inputs: Sequence[object], rng: random.Random
) -> Iterator[RunArrival]:
    """Arrivals without end, in order of time: a warm-up before 0, the measured window up to
    `duration`, and a tail.

    The window takes passes of its own over the inputs, so that its runs see each of them as equally
    often as can be.
    """
    order = _shuffled(inputs, rng)
    for time in poisson(rate, warmup, rng):
        yield RunArrival(time - warmup, next(order), measured=False)
    order = _shuffled(inputs, rng)
    for time in poisson(rate, duration, rng):
        yield RunArrival(time, next(order), measured=True)
    time = duration
    while True:
        time += rng.expovariate(rate)
        yield RunArrival(time, next(order), measured=False)


def poisson(rate: float, duration: float, rng: random.Random) -> list[float]:
    """Rising times in [0, duration] of a Poisson process of `rate` per second, given that its count
    is round(rate * duration).

    Given their count, the arrivals of a Poisson process are independent and uniform. Fixing the
    count keeps its burstiness within the window but makes the offered rate exact: a free count
    would stray by 1/sqrt(rate * duration), which is 10% at a hundred runs, and would be read as an
    error of the plan.
    """
    return sorted(rng.uniform(0.0, duration) for _ in range(round(rate * duration)))


def _shuffled(inputs: Sequence[object], rng: random.Random) -> Iterator[tuple[object, ...]]:
    """Each input once, in random order; again and again, each pass in an order of its own."""
    while True:
        yield from ((one,) for one in rng.sample(inputs, len(inputs))) if inputs else [()]
