"""The loop on one screen: summarize, predict, search, place -> Plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from scepsy import explain
from scepsy.core.cluster import Cluster
from scepsy.core.demand import Demand
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Plan, Target
from scepsy.core.profile import Profile
from scepsy.core.trace import Trace
from scepsy.errors import BadInput
from scepsy.place import place
from scepsy.predict import Pipeline, Response, responses
from scepsy.search import Choice, best_placeable, search
from scepsy.summarize import summarize


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
        BadInput: a target without traces, an LLM without a profile or a description.
    """
    demands = summarize([trace for trace in traces if trace.workflow in _names(targets)])
    problem = Problem(
        demands, tuple(targets), responses(profile.curves), tuple(llms), cluster, share_step
    )
    decision = problem.decide()
    if isinstance(decision, Infeasible):
        return explain.infeasible(decision, targets, lambda scale: _meets(problem.scaled(scale)))
    pipeline = problem.pipeline
    allocation = decision.candidate.allocation
    prediction = pipeline.predict(allocation)
    return Plan(
        cluster=cluster,
        llms=problem.needed_llms,
        targets=problem.targets,
        demands=demands,
        allocation=allocation,
        placement=decision.placement,
        prediction=prediction,
        explanation=explain.plan(
            decision,
            prediction,
            one_more=problem.on(explain.with_one_more(cluster)).decide(),
            one_fewer=problem.on(explain.with_one_fewer(cluster)).decide(),
            base=pipeline.base,
        ),
    )


@dataclass(frozen=True, slots=True)
class Problem:
    """Everything that a decision depends on; varied to answer what-if questions."""

    demands: tuple[Demand, ...]
    targets: tuple[Target, ...]
    responses: dict[tuple[str, str], Response]
    llms: tuple[LlmSpec, ...]
    cluster: Cluster
    share_step: float

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline(self.demands, self.targets, self.responses)

    @property
    def needed_llms(self) -> tuple[LlmSpec, ...]:
        """The LLMs that the targeted workflows call. Raises BadInput where one is not described."""
        known = {llm.name: llm for llm in self.llms}
        for name in self.pipeline.llms:
            if name not in known:
                raise BadInput(f"LLM {name!r} is called by the traces, but the LLM file lacks it")
        return tuple(known[name] for name in self.pipeline.llms)

    def decide(self) -> Choice | Infeasible:
        """The best allocation that can be placed."""
        found = search(
            self.needed_llms, self.cluster, self.pipeline.stage_costs, share_step=self.share_step
        )
        if isinstance(found, Infeasible):
            return found
        return best_placeable(found, lambda allocation: place(allocation, self.cluster))

    def on(self, cluster: Cluster) -> Problem:
        return replace(self, cluster=cluster)

    def scaled(self, scale: float) -> Problem:
        """The same with every target rate multiplied by `scale`."""
        targets = tuple(
            msgspec.structs.replace(target, rate=target.rate * scale) for target in self.targets
        )
        return replace(self, targets=targets)


def _meets(problem: Problem) -> bool:
    return not isinstance(problem.decide(), Infeasible)


def _names(targets: Sequence[Target]) -> set[str]:
    return {target.workflow for target in targets}
