"""Numbers as people read them: the one formatter of reports and of the command line (pure)."""

from __future__ import annotations

import math

MINUS, TIMES, DASH = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"


CAPACITY_USED = (
    "capacity used: the rate of calls at the targets, divided by the highest rate that the LLM's "
    "replicas sustain"
)
BUSY = (
    "engines busy: the part of the time in which the engines computed; an engine that computes for "
    "one sequence is busy, and may be far from its capacity"
)


def seconds(value: float | None) -> str:
    """A duration: three digits and a unit; a dash where there is none, a sign for infinity."""
    if value is None or not math.isfinite(value):
        return DASH if value is None else _not_finite(value)
    if value == 0:
        return "0 s"
    if abs(value) >= 1:
        return f"{digits(value)} s"
    return f"{digits(value * 1e3)} ms" if abs(value) >= 1e-3 else f"{digits(value * 1e6)} µs"


def rate(value: float, unit: str = "runs/s") -> str:
    """Events per second."""
    return f"{digits(value)} {unit}"


def percent(value: float) -> str:
    """A part of one; a digit more where it is small."""
    if not math.isfinite(value):
        return _not_finite(value)
    text = f"{value:.1%}" if 0.0005 <= abs(value) < 0.0995 else f"{value:.0%}"
    return text.removeprefix("-") if float(text[:-1]) == 0 else text.replace("-", MINUS)


def signed_percent(value: float) -> str:
    """A relative error or change. One that rounds to nothing has no sign."""
    if not math.isfinite(value):
        return _not_finite(value)
    text = f"{value:+.1%}"
    return "0.0%" if text in ("+0.0%", "-0.0%") else text.replace("-", MINUS)


def error(value: float, chance: float | None) -> str:
    """A relative error, and whether it lies within the interval that was stated for it."""
    if chance is None or not math.isfinite(value):
        return signed_percent(value)
    where = "outside" if abs(value) > chance else "within"
    return f"{signed_percent(value)}, {where} ±{percent(chance)}"


def times(value: float) -> str:
    """A ratio of two quantities of one unit."""
    return digits(value) + TIMES


def share(value: float) -> str:
    """A part of a GPU, without trailing zeros."""
    return f"{value:.3g}"


def digits(value: float) -> str:
    """Three significant digits, trailing zeros kept, never in powers of ten below a million."""
    if not math.isfinite(value):
        return _not_finite(value)
    if value == 0:
        return "0"
    before = math.floor(math.log10(abs(value))) + 1
    text = f"{value:,.{max(0, 3 - before)}f}" if -6 < before <= 6 else f"{value:.3g}"
    return text.replace("-", MINUS)


def span(low: str, high: str) -> str:
    """From one to the other."""
    return f"{low} {DASH} {high}"


def tail(p99: float | None, slowest: float, runs: int) -> tuple[str, float]:
    """The name and the value, in seconds, of what the slow runs took: the 99th percentile, or of
    fewer runs than that needs the slowest one.
    """
    if p99 is not None:
        return f"p99 of {count(runs, 'run')}", p99
    return f"slowest of {count(runs, 'run')}", slowest


def factor(value: float) -> str:
    """By what a rate may be multiplied, with two digits."""
    if not math.isfinite(value):
        return f"{TIMES} {_not_finite(value)}"
    return f"{TIMES} {value:.2g}" if value < 10 else f"{TIMES} {value:,.0f}"


def pace(time_scale: float) -> str:
    """How fast emulated engines run, for times and rates as they were measured on them."""
    factor = f"{time_scale:g}{TIMES}"
    return (
        f"The engines are emulated and run {factor} as fast as real GPUs. Times and rates here are "
        f"of the wall clock: on real GPUs a call takes {factor} as long."
    )


def count(number: int, noun: str) -> str:
    """ "1 GPU", "8 GPUs", which no line break parts."""
    return f"{number:,}\N{NO-BREAK SPACE}{noun}{'' if number == 1 else 's'}"


def _not_finite(value: float) -> str:
    return DASH if math.isnan(value) else "\N{INFINITY}"
