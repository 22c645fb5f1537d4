"""Whether traces, profile, LLMs, cluster and targets make sense and belong together (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import isfinite

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Target
from scepsy.core.profile import Profile
from scepsy.core.trace import Trace
from scepsy.errors import BadInput
from scepsy.planning.input_faults import (
    Fault,
    cluster_faults,
    curve_faults,
    llm_faults,
    repeated,
    target_faults,
)
from scepsy.planning.latency_limit import LatencyLimit
from scepsy.traces.context import context_limits, long_calls
from scepsy.traces.lengths import with_lengths


def check(
    traces: Sequence[Trace],
    profile: Profile,
    llms: Sequence[LlmSpec],
    cluster: Cluster,
    targets: Sequence[Target],
    share_step: float,
) -> None:
    """Raises BadInput for the first thing that is wrong: each of them on its own
    (`input_faults`), a target without traces, a profile of other GPUs or of several time scales.
    """
    _refuse("the cluster", cluster_faults(cluster))
    _refuse("the LLMs", ((_with_name(field, llms), wrong) for field, wrong in llm_faults(llms)))
    _refuse("the profile", curve_faults(profile.curves))
    _check_targets(targets, traces)
    _check_profile(profile, cluster)
    if not 0 < share_step <= 1 or abs(round(1 / share_step) * share_step - 1) > 1e-6:
        raise BadInput(f"share step {share_step:g} does not divide one GPU; 0.1 and 0.05 do")


def _refuse(what: str, faults: Iterable[Fault]) -> None:
    for field, wrong in faults:
        raise BadInput(f"{what}: {field}: {wrong}")


def _with_name(field: str, llms: Sequence[LlmSpec]) -> str:
    """The field with the name of its LLM instead of its number: "LLM 'a' max_tp"."""
    found = re.fullmatch(r"llms\[(\d+)\]\.?(.*)", field)
    return field if found is None else f"LLM {llms[int(found[1])].name!r} {found[2]}".rstrip()


def _with_workflow(field: str, targets: Sequence[Target]) -> str:
    """The field with the name of its workflow instead of its number: "rate of 'rag'"."""
    found = re.fullmatch(r"targets\[(\d+)\]\.(.*)", field)
    return field if found is None else f"{found[2]} of {targets[int(found[1])].workflow!r}"


def _check_targets(targets: Sequence[Target], traces: Sequence[Trace]) -> None:
    if not targets:
        raise BadInput("there are no targets: give a workflow and its rate in runs per second")
    faults = target_faults(targets)
    _refuse("the targets", ((_with_workflow(field, targets), wrong) for field, wrong in faults))
    traced = {trace.workflow for trace in traces}
    for name in sorted({target.workflow for target in targets} - traced):
        known = ", ".join(sorted(traced)) or "none"
        raise BadInput(f"there is a target for {name!r}, but no trace of it; traced: {known}")


def _check_profile(profile: Profile, cluster: Cluster) -> None:
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


def check_choice_of_gpus(
    cluster: Cluster,
    gpus: int | None,
    tolerance: float,
    within: Sequence[LatencyLimit],
    *,
    simulated: bool,
) -> None:
    """Raises BadInput for a number of GPUs that the cluster does not have, a tolerance that is no
    part of a latency, two limits on one statistic, or a limit on a quantile without a simulation.
    """
    if gpus is not None and not 1 <= gpus <= cluster.gpus:
        raise BadInput(f"gpus: {gpus}: the cluster has {cluster.gpus}")
    if not (isfinite(tolerance) and tolerance >= 0):
        raise BadInput(f"tolerance: {tolerance:g} must be a part of the latency, like 0.01")
    _refuse("the latency limits", repeated("statistic", (limit.statistic for limit in within)))
    for limit in within:
        if limit.simulated and not simulated:
            raise BadInput(
                f"a limit on the {limit.name} needs a simulation of the plans, which was not asked "
                "for"
            )


def usable(
    traces: Sequence[Trace], llms: Sequence[LlmSpec], targets: Sequence[Target]
) -> tuple[Sequence[Trace], list[str]]:
    """The traces of the targeted workflows with missing token counts filled in, and a sentence
    about each change and about calls that are longer than their LLM takes.
    """
    wanted = {target.workflow for target in targets}
    filled, notes = with_lengths(
        [trace for trace in traces if trace.workflow in wanted], llms, required=False
    )
    notes += [
        f"{found}. Its engine will refuse them, so such runs will fail: raise max_context in the "
        "LLM file if its GPUs have room for that. Latency and load are planned with these runs; "
        "the simulation leaves them out"
        for found in long_calls(filled, context_limits(llms))
    ]
    return filled, notes
