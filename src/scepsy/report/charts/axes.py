"""Axes of charts: from values to pixels, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

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


def fit(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    linear: bool = False,
    label: Callable[[float], str] | None = None,
) -> Axis:
    """The axis that holds all finite positive values; logarithmic where they span widely, unless
    it has to be linear. `label` gives the text of a tick, by default the number.

    A linear axis begins at zero.
    """
    kept = [value for value in values if math.isfinite(value) and value > 0] or [1.0]
    low, high = min(kept), max(kept)
    log = not linear and high / low > LOG_BEYOND
    low, high = (low / 1.15, high * 1.15) if log else (0.0, high * 1.04)
    bare = Axis(low, high, start, end, log)
    values = _digits_of_decades(low, high) if log else _multiples(high)
    return replace(bare, ticks=tuple(Tick(bare.at(v), (label or plain)(v)) for v in values))


def plain(value: float) -> str:
    """A number without trailing zeros."""
    return f"{value:,g}"


def seconds(value: float) -> str:
    """A duration without trailing zeros, in milliseconds below a second."""
    if value == 0:
        return "0"
    if value >= 1:
        return f"{value:,g} s"
    return f"{value * 1e3:g} ms" if value >= 1e-3 else f"{value * 1e6:g} µs"


def _multiples(high: float) -> list[float]:
    """At most eight multiples of a round number, from zero to `high`."""
    step = _round_up(high / 6, (1, 2, 2.5, 5, 10))
    places = max(0, 1 - math.floor(math.log10(step))) if step < 10 else 0
    return [round(index * step, places) for index in range(math.floor(high / step) + 1)]


def _digits_of_decades(low: float, high: float) -> list[float]:
    """Powers of ten between the two, and twice and five times these where there is room."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if high / low < 1e3 else (1,)
    values = [digit * 10.0**decade for decade in decades for digit in digits]
    return [value for value in values if low <= value <= high]


def _round_up(value: float, digits: tuple[float, ...]) -> float:
    """The least `digit x 10^k` that is not below `value`."""
    power = 10.0 ** math.floor(math.log10(value))
    return next((digit * power for digit in digits if digit * power >= value), 10 * power)


def _scaled(value: float, log: bool) -> float:
    return math.log10(max(value, 1e-300)) if log else value
