"""Axes of charts: from values to pixels, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

LOG_BEYOND = 12.0
"""Largest over smallest value from which a logarithmic axis shows more than a linear one."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled position in pixels."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Axis:
    """Values from `low` to `high` on pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool
    ticks: tuple[Tick, ...] = ()

    def at(self, value: float) -> float:
        """The pixel of a value, held within the axis."""
        low, high, value = (_scaled(v, self.log) for v in (self.low, self.high, value))
        part = min(max((value - low) / (high - low), 0.0), 1.0)
        return round(self.start + part * (self.end - self.start), 1)


def fit(values: Iterable[float], start: float, end: float, *, linear: bool = False) -> Axis:
    """The axis that holds all finite positive values; logarithmic where they span widely, unless
    it has to be linear.

    A linear axis begins at zero.
    """
    kept = [value for value in values if math.isfinite(value) and value > 0] or [1.0]
    low, high = min(kept), max(kept)
    if linear or high / low <= LOG_BEYOND:
        return _linear(high, start, end)
    return _logarithmic(low, high, start, end)


def _linear(high: float, start: float, end: float) -> Axis:
    step = _round_up(high * 1.04 / 6, (1, 2, 2.5, 5, 10))
    places = max(0, 1 - math.floor(math.log10(step))) if step < 10 else 0
    top = high * 1.04
    bare = Axis(0.0, top, start, end, log=False)
    values = [round(index * step, places) for index in range(math.floor(top / step) + 1)]
    return Axis(0.0, top, start, end, False, tuple(Tick(bare.at(v), f"{v:,g}") for v in values))


def _logarithmic(low: float, high: float, start: float, end: float) -> Axis:
    low, high = low / 1.15, high * 1.15
    bare = Axis(low, high, start, end, log=True)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if high / low < 1e3 else (1,)
    values = [digit * 10.0**decade for decade in decades for digit in digits]
    kept = [value for value in values if low <= value <= high]
    return Axis(low, high, start, end, True, tuple(Tick(bare.at(v), f"{v:,g}") for v in kept))


def _round_up(value: float, digits: tuple[float, ...]) -> float:
    """The least `digit x 10^k` that is not below `value`."""
    power = 10.0 ** math.floor(math.log10(value))
    return next((digit * power for digit in digits if digit * power >= value), 10 * power)


def _scaled(value: float, log: bool) -> float:
    return math.log10(max(value, 1e-300)) if log else value
