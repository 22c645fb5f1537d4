"""Latency against GPUs, as it is shown with a plan (pure)."""

from __future__ import annotations

from math import isfinite

from scepsy.core.plan import FrontPoint
from scepsy.planning.decision import Decision
from scepsy.planning.shortlist import ShortlistEntry


def front_points(decision: Decision) -> tuple[FrontPoint, ...]:
    """The front with the plan that was taken in it, GPUs rising and latency falling from point to
    point. Empty where the replay does not find that the plan sustains the targets.
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
