"""Whether traces, profile and cluster belong together, before anything is decided (pure)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from scepsy.core.cluster import Cluster
from scepsy.core.profile import Profile
from scepsy.core.trace import Trace
from scepsy.errors import BadInput


def check(
    traces: Sequence[Trace], profile: Profile, cluster: Cluster, workflows: Collection[str]
) -> None:
    """Raises BadInput for a workflow that was not traced, an empty profile, or one that was
    measured on other GPUs or at several time scales.
    """
    traced = {trace.workflow for trace in traces}
    for name in sorted(set(workflows) - traced):
        known = ", ".join(sorted(traced)) or "none"
        raise BadInput(f"there is a target for {name!r}, but no trace of it; traced: {known}")
    if not profile.curves:
        raise BadInput("the profile has no curves: run `scepsy profile`")
    ours = cluster.nodes[0].gpu_type
    for curve in profile.curves:
        if curve.gpu_type != ours:
            raise BadInput(
                f"the profile of {curve.llm!r} was measured on {curve.gpu_type!r}, "
                f"the cluster has {ours!r}: profile on it"
            )
    scales = sorted({curve.time_scale for curve in profile.curves})
    if len(scales) > 1:
        raise BadInput(
            f"the profile mixes engines emulated at {scales[0]:g} x and {scales[-1]:g} x"
        )
