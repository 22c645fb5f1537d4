"""Numbers with a unit, as options of `scepsy plan` take them."""

from __future__ import annotations

import re

import click

from scepsy.errors import BadInput
from scepsy.planning.latency_limit import STATISTICS, LatencyLimit

UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
"""Seconds."""
FEWEST = "fewest"


class Percentage(click.ParamType[float]):
    """A part of something, from 0 to below 100%: "1%", or 0.01."""

    name = "percentage"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        text = str(value)
        try:
            part = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            part = -1.0
        if not 0 <= part < 1:
            hint = f"; did you mean {text}%?" if re.fullmatch(r"[\d.]+", text) else ""
            self.fail(f"{text!r} is no part of a latency: write 1% or 0.01{hint}", param, ctx)
        return part


class GpuCount(click.ParamType[int | str]):
    """A number of GPUs, or "fewest"."""

    name = "gpus"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        text = str(value)
        if text == FEWEST:
            return FEWEST
        if not re.fullmatch(r"[1-9]\d*", text):
            self.fail(f"{text!r}: write a number of GPUs, or {FEWEST}", param, ctx)
        return int(text)


class Limit(click.ParamType[LatencyLimit]):
    """A latency limit: "5s" and "mean=5s" limit the mean, "p99=800ms" a quantile."""

    name = "limit"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> LatencyLimit:
        if isinstance(value, LatencyLimit):
            return value
        text = str(value)
        statistic, equals, duration = text.rpartition("=")
        found = re.fullmatch(r"([-+]?[\d.]+(?:e[-+]?\d+)?)\s*([a-z]*)", duration)
        if found is None or (equals and statistic not in STATISTICS):
            known = ", ".join(f"{name}=5s" for name in STATISTICS)
            self.fail(f"{text!r}: write a latency like 5s or 800ms, or {known}", param, ctx)
        number, unit = found.groups()
        if unit not in UNITS:
            hint = f"{number}s or {number}ms" if not unit else ", ".join(UNITS)
            what = "has no unit" if not unit else f"has an unknown unit {unit!r}"
            self.fail(f"{text!r} {what}: {hint}", param, ctx)
        try:
            return LatencyLimit(float(number) * UNITS[unit], statistic or "mean")
        except (BadInput, ValueError):
            self.fail(f"{text!r}: a latency must be positive", param, ctx)
