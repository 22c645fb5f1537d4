"""The points of the front of latency against GPUs that a plan file holds (pure)."""

from __future__ import annotations

from math import isfinite

from scepsy.core.plan import FrontPoint
from scepsy.planning.decision import Decision
from scepsy.planning.shortlist import ShortlistEntry


def front_points(decision: Decision) -> tuple[FrontPoint, ...]:
    """The front, including the chosen plan: GPUs rising, latency falling. Empty where the plan does
    not sustain the targets by replay.
    """
    ours, traded = decision.entry, decision.tradeoff
    if traded is None or not isfinite(ours.replay.objective):
        return ()
    gpus, latency = ours.placement.gpus, ours.replay.objective
    smaller = [
        one for one in traded.front if one.placement.gpus < gpus and one.replay.objective > latency
    ]
    larger = [
        one for one in traded.front if one.placement.gpus > gpus and one.replay.objective < latency
    ]
    return tuple(_point(one, chosen=one is ours) for one in (*smaller, ours, *larger))


def _point(entry: ShortlistEntry, *, chosen: bool) -> FrontPoint:
    return FrontPoint(
        gpus=entry.placement.gpus,
        gpu_shares=entry.allocation.gpus,
        objective=entry.replay.objective,
        latency_means={flow.workflow: flow.latency_mean for flow in entry.replay.workflows},
        headroom=1 / max(entry.replay.utilisation.values()),
        chosen=chosen,
    )
