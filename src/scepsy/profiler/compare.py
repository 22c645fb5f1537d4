"""Compares replica sizes within a profile, and curves of the same engine and workflow across
profiles (pure).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from scepsy.core.plan import size_name
from scepsy.core.profile import Curve, Profile
from scepsy.core.record import Record
from scepsy.planning.provenance import Key, key_of


class Difference(Record, frozen=True, kw_only=True):
    """How the curve in file `other` differs from the one in file `one`, for the same LLM, workflow
    and size. All differences are relative to `one`.

    Attributes:
        throughput: difference of the throughput at saturation.
        latency: mean absolute difference of latency at the rates that both curves cover.
        latency_most: largest absolute difference of latency.
        within: whether the mean difference is inside the errors that the curves state.
    """

    llm: str
    workflow: str
    size: str
    one: str
    other: str
    throughput: float
    latency: float
    latency_most: float
    within: bool


def differences(profiles: Sequence[tuple[str, Profile]]) -> tuple[Difference, ...]:
    """The difference of every pair of curves for the same LLM, workflow and size in different
    profiles. Each profile comes with its name.
    """
    found: dict[Key, list[tuple[str, Curve]]] = defaultdict(list)
    for name, profile in profiles:
        for curve in profile.curves:
            found[key_of(curve)].append((name, curve))
    return tuple(
        _difference(*one, *other)
        for curves in found.values()
        for one, other in combinations(curves, 2)
    )


def per_gpu(profile: Profile) -> dict[Key, float]:
    """Throughput per GPU of every curve, relative to that of one whole GPU. LLMs and workflows
    without a curve for one whole GPU are left out.
    """
    whole = {(c.llm, c.workflow): c for c in profile.curves if (c.tp, c.gpu_share) == (1, 1.0)}
    return {
        key_of(curve): curve.max_throughput
        / (curve.tp * curve.gpu_share)
        / whole[curve.llm, curve.workflow].max_throughput
        for curve in profile.curves
        if (curve.llm, curve.workflow) in whole
    }


def _difference(name: str, one: Curve, other_name: str, other: Curve) -> Difference:
    last = min(one.points[-1].rate, other.points[-1].rate)
    rates = sorted({p.rate for p in (*one.points, *other.points) if p.rate <= last})
    latencies = [
        np.interp(rates, [p.rate for p in c.points], [p.latency for p in c.points])
        for c in (one, other)
    ]
    deviations = np.abs(latencies[1] / latencies[0] - 1.0)
    mean = float(np.mean(deviations))
    noise = max(p.noise / p.latency for c in (one, other) for p in c.points)
    return Difference(
        llm=one.llm,
        workflow=one.workflow,
        size=size_name(one.tp, one.gpu_share),
        one=name,
        other=other_name,
        throughput=other.max_throughput / one.max_throughput - 1.0,
        latency=mean,
        latency_most=float(np.max(deviations)),
        within=mean <= one.error + other.error + 2 * noise,
    )
