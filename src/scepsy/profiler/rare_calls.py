"""Curves of workflows that call an LLM too rarely for a measurement under load (pure).

A workflow that sends one call in fifty has hardly any in a round of some seconds. Its calls wait in
the same queue as those of the other workflows, so its curve takes the slowdown of the workflow of
which most calls were measured: latency under load over latency of the idle engine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from scepsy.core.profile import ProfilePoint, Quantiles

Points = tuple[ProfilePoint, ...]


def with_slowdown(
    curves: Mapping[str, Points], top: Mapping[str, float]
) -> tuple[dict[str, Points], dict[str, str]]:
    """The points of every workflow, completed where only the idle engine was measured; and, by
    workflow that was completed, the workflow whose slowdown it got. `top` has each workflow's rate
    at saturation. Nothing is completed where no workflow was measured under load.
    """
    lender = well_measured(curves)
    if lender is None:
        return dict(curves), {}
    rare = [name for name, points in curves.items() if len(points) == 1 and not points[0].rate]
    complete = {
        name: slowed_down(curves[name][0], curves[lender], top[name] / top[lender]) for name in rare
    }
    return {**curves, **complete}, dict.fromkeys(rare, lender)


def well_measured(curves: Mapping[str, Sequence[ProfilePoint]]) -> str | None:
    """The workflow of which most calls were measured, of those with a point of the idle engine and
    one under load; None if there is none.
    """
    calls = {
        name: sum(point.samples for point in points)
        for name, points in curves.items()
        if len(points) > 1 and not points[0].rate
    }
    return max(calls, key=lambda name: calls[name], default=None)


def slowed_down(idle: ProfilePoint, other: Sequence[ProfilePoint], scale: float) -> Points:
    """The workflow's point of the idle engine, and one for each of the `other` workflow's points
    under load. `scale` is the workflow's rate over the other's rate at equal load.
    """
    alone, *loaded = other
    return (idle, *(_slowed_down(idle, alone, point, scale) for point in loaded))


def _slowed_down(
    idle: ProfilePoint, alone: ProfilePoint, loaded: ProfilePoint, scale: float
) -> ProfilePoint:
    factor = loaded.latency / alone.latency
    noise = math.hypot(*(point.noise / point.latency for point in (idle, alone, loaded)))
    return msgspec.structs.replace(
        idle,
        rate=scale * loaded.rate,
        latency=factor * idle.latency,
        p50=factor * idle.p50,
        p90=factor * idle.p90,
        p99=factor * idle.p99,
        ttft=factor * idle.ttft,
        tpot=factor * idle.tpot,
        noise=factor * idle.latency * noise,
        ttft_quantiles=_times(factor, idle.ttft_quantiles),
        tpot_quantiles=_times(factor, idle.tpot_quantiles),
    )


def _times(factor: float, times: Quantiles | None) -> Quantiles | None:
    if times is None:
        return None
    return Quantiles(p50=factor * times.p50, p90=factor * times.p90, p99=factor * times.p99)
