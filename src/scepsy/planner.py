"""The loop on one screen: summarize, predict, search, place -> Plan."""

from __future__ import annotations

from collections.abc import Sequence

from scepsy import explain
from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Plan, Target
from scepsy.core.profile import Profile
from scepsy.core.trace import Trace
from scepsy.hosted import set_apart
from scepsy.predict import responses
from scepsy.problem import Problem
from scepsy.provenance import notes
from scepsy.summarize import summarize
from scepsy.validity import check


def plan(
    traces: Sequence[Trace],
    profile: Profile,
    llms: Sequence[LlmSpec],
    cluster: Cluster,
    targets: Sequence[Target],
    *,
    share_step: float = 0.1,
) -> Plan | Infeasible:
    """The plan of least weighted mean latency that sustains every target, or why there is none.

    Exact on the Aggregate LLM Pipeline's objective, over GPU shares in steps of `share_step` x TP x
    replicas.

    Raises:
        BadInput: a target without traces, an LLM without a profile or a description, a profile of
            other GPUs.
    """
    wanted = {target.workflow for target in targets}
    check(traces, profile, cluster, wanted)
    called = summarize([trace for trace in traces if trace.workflow in wanted])
    demands, hosted = set_apart(called, llms)
    answers = responses(profile.curves)
    problem = Problem(demands, tuple(targets), answers, tuple(llms), cluster, share_step, hosted)

    problem, chosen = problem.settled()
    if isinstance(chosen, Infeasible):
        return explain.infeasible(chosen, problem)

    allocation = chosen.candidate.allocation
    prediction = problem.pipeline.predict(allocation)
    return Plan(
        cluster=cluster,
        llms=(*problem.needed_llms, *(one.llm for one in hosted)),
        targets=problem.targets,
        demands=demands,
        allocation=allocation,
        placement=chosen.placement,
        prediction=prediction,
        explanation=explain.plan(chosen, prediction, problem, notes(profile, allocation)),
        time_scale=profile.curves[0].time_scale,
    )
