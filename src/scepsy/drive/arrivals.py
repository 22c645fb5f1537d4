"""When runs arrive, and which input each of them gets."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunArrival:
    """A run that is due `time` seconds after the measured window begins; a negative time lies in
    the warm-up. `inputs` holds its input, or is empty where runs take none.
    """

    time: float
    inputs: tuple[object, ...]
    measured: bool


def schedule(
    rate: float, warmup: float, duration: float, inputs: Sequence[object], rng: random.Random
) -> Iterator[RunArrival]:
    """Arrivals without end, in order of time: the warm-up before 0, the measured window from 0 to
    `duration`, then a tail. `rate` is in runs per second, times are in seconds.

    The window begins with a new pass over the inputs, so that the numbers of times that its runs
    get each input differ by at most one.
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
    """Rising times in [0, duration] of a Poisson process of `rate` per second whose count is
    round(rate * duration).

    Given their count, the arrivals of a Poisson process are independent and uniform. A fixed count
    keeps the bursts within the window and makes the offered rate exact. A random count would
    deviate by 1/sqrt(rate * duration), which is 10% at a hundred runs, and would be read as an
    error of the plan.
    """
    return sorted(rng.uniform(0.0, duration) for _ in range(round(rate * duration)))


def _shuffled(inputs: Sequence[object], rng: random.Random) -> Iterator[tuple[object, ...]]:
    """Passes over the inputs without end, each in another random order."""
    while True:
        yield from ((one,) for one in rng.sample(inputs, len(inputs))) if inputs else [()]
