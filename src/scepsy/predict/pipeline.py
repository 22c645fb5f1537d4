"""The Aggregate LLM Pipeline: one stage per LLM, workflow latency as the sum of the stages.

With arXiv 2604.15186, for workflow w at rate x and LLM m with r replicas:

    latency(x)  = other + sum over m of  L_m(x * n_m / r, r) * n_m / p_m
    throughput  = min over m of  r * T_m / n_m

where L_m(rate, r) is the mean latency of a call at that rate to each of r replicas and T_m the rate
at which one saturates (both from the profile), n_m the calls of the LLM in a run, and p_m the mean
number of them that are open at once.

This module adds three things to the paper. L_m and p_m depend on the number of replicas, and p_m on
the rate, where the curve knows that (`predict.response`); else p_m is the traced one. `other` is
the time that no stage explains: tools, the client's own work, and overlap between LLMs. It is taken
from the traces. If several workflows call an LLM, their loads are added as *utilisation*, u = sum
over w of x_w * n_wm / (r * T_wm), and the latency of each workflow is read from its own curve at u.
Calls of different workflows differ in length, so their rates cannot be added.

A replica on a GPU share was profiled alone on its GPU. The slowdown by neighbours is an input
(`Pipeline.slowdowns`, from `planning.contention`), so that the objective stays separable by LLM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from scepsy.core.demand import Demand, LlmDemand
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import (
    Allocation,
    LlmAllocation,
    Prediction,
    StagePrediction,
    Target,
    WorkflowPrediction,
)
from scepsy.errors import BadInput
from scepsy.predict.response import Blend, Floats, Response


@dataclass(frozen=True, slots=True)
class Flow:
    """The calls of one workflow to one LLM at the workflow's target rate."""

    target: Target
    demand: LlmDemand

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.target.rate * self.demand.calls

    @property
    def serial_calls(self) -> float:
        """n / p: the calls of a run that follow one another; seconds of workflow latency for each
        second of call latency.
        """
        return self.demand.calls / self.demand.parallelism


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The pipelines of one or more workflows at their targets.

    Its `stage_costs` make the objective separable by LLM.

    Attributes:
        demands: of every traced workflow.
        targets: of the workflows to plan for.
        responses: latency curves by (LLM, workflow).
        slowdowns: by LLM, the duration of a call on a GPU share divided by its duration without
            neighbours; 1 for an LLM that is not named.
    """

    demands: tuple[Demand, ...]
    targets: tuple[Target, ...]
    responses: Mapping[tuple[str, str], Response]
    slowdowns: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        """Raises BadInput for a target without demand, twice or not positive, a demand without
        profile.
        """
        names = [target.workflow for target in self.targets]
        if len(set(names)) < len(names):
            raise BadInput(f"a workflow has more than one target: {', '.join(names)}")
        for target in self.targets:
            if not (0 < target.rate < np.inf and 0 < target.weight < np.inf):
                raise BadInput(f"target of {target.workflow!r}: rate and weight must be positive")
        known = {demand.workflow for demand in self.demands}
        for target in self.targets:
            if target.workflow not in known:
                traced = ", ".join(sorted(known)) or "no workflow"
                raise BadInput(f"target for {target.workflow!r}, but the traces hold {traced}")
        for llm in self.llms:
            for flow in self.flows(llm):
                if (llm, flow.target.workflow) not in self.responses:
                    raise BadInput(
                        f"LLM {llm!r} has no profile for the calls of workflow "
                        f"{flow.target.workflow!r}: run `scepsy profile`"
                    )

    @property
    def llms(self) -> tuple[str, ...]:
        """Names of the LLMs that the targeted workflows call, sorted."""
        wanted = {target.workflow for target in self.targets}
        return tuple(
            sorted(
                {
                    llm.llm
                    for demand in self.demands
                    if demand.workflow in wanted
                    for llm in demand.llms
                }
            )
        )

    @property
    def base(self) -> float:
        """Weighted seconds of `other` time, which no allocation changes."""
        other = {demand.workflow: demand.other_time for demand in self.demands}
        return sum(target.weight * other[target.workflow] for target in self.targets)

    def flows(self, llm: str) -> tuple[Flow, ...]:
        """The calls of every targeted workflow to `llm`."""
        by_workflow = {demand.workflow: demand for demand in self.demands}
        return tuple(
            Flow(target, part)
            for target in self.targets
            for part in by_workflow[target.workflow].llms
            if part.llm == llm
        )

    def stage_costs(
        self, llm: LlmSpec, tp: int, gpu_share: float, replicas: NDArray[np.int64]
    ) -> Floats:
        """Weighted seconds that `llm` adds to the objective, for each number of replicas.

        inf where the replicas cannot sustain the targets, or were not profiled.
        """
        flows = self.flows(llm.name)
        blends = self.blends(flows, tp, gpu_share)
        if blends is None:
            return np.full(replicas.shape, np.inf)
        load = sum(
            flow.rate / blend.max_throughput for flow, blend in zip(flows, blends, strict=True)
        )
        utilisation = load / np.asarray(replicas, dtype=np.float64)
        costs = np.zeros(replicas.shape)
        for flow, blend in zip(flows, blends, strict=True):
            calls, parallelism = flow.demand.calls, flow.demand.parallelism
            spent = blend.spent_at(utilisation, replicas, parallelism)
            costs += flow.target.weight * calls * spent
        return costs

    def predict(self, allocation: Allocation) -> Prediction:
        """The prediction for `allocation`.

        Latency is inf where an LLM is saturated, or was not profiled as it is allocated.
        """
        utilisation: dict[str, float] = {}
        stages: dict[str, list[StagePrediction]] = {target.workflow: [] for target in self.targets}
        for part in allocation.llms:
            utilisation[part.llm] = self._predict_llm(part, stages)
        workflows = tuple(
            self._predict_workflow(target, stages[target.workflow]) for target in self.targets
        )
        objective = sum(
            target.weight * flow.latency_mean
            for target, flow in zip(self.targets, workflows, strict=True)
        )
        return Prediction(objective=objective, workflows=workflows, utilisation=utilisation)

    def _predict_llm(
        self, part: LlmAllocation, stages: Mapping[str, list[StagePrediction]]
    ) -> float:
        """Adds the LLM's stage to each workflow that calls it; returns its utilisation."""
        flows = self.flows(part.llm)
        blends = self.blends(flows, part.tp, part.gpu_share)
        if blends is None:
            for flow in flows:
                stages[flow.target.workflow].append(
                    StagePrediction(llm=part.llm, seconds=np.inf, call_latency=np.inf, max_rate=0.0)
                )
            return np.inf
        capacity = [part.replicas * blend.max_throughput for blend in blends]
        load = sum(flow.rate / most for flow, most in zip(flows, capacity, strict=True))
        for flow, blend, most in zip(flows, blends, capacity, strict=True):
            at, parallelism = np.array([load]), flow.demand.parallelism
            latency = float(blend.latency_at(at, part.replicas)[0])
            spent = float(blend.spent_at(at, part.replicas, parallelism)[0])
            spare = max(0.0, 1.0 - (load - flow.rate / most))
            stages[flow.target.workflow].append(
                StagePrediction(
                    llm=part.llm,
                    seconds=flow.demand.calls * spent,
                    call_latency=latency,
                    overlap=spent * parallelism / latency if np.isfinite(latency) else 1.0,
                    max_rate=spare * most / flow.demand.calls,
                )
            )
        return load

    def _predict_workflow(
        self, target: Target, stages: Sequence[StagePrediction]
    ) -> WorkflowPrediction:
        demand = next(demand for demand in self.demands if demand.workflow == target.workflow)
        tightest = min(stages, key=lambda stage: stage.max_rate)
        return WorkflowPrediction(
            workflow=target.workflow,
            target_rate=target.rate,
            throughput=tightest.max_rate,
            latency_mean=_latency(demand, stages),
            bottleneck=tightest.llm,
            stages=tuple(stages),
        )

    def blends(self, flows: Sequence[Flow], tp: int, gpu_share: float) -> list[Blend] | None:
        """The latency curve of a replica of this size for each flow to one LLM; None where some
        flow was not profiled with this size.
        """
        found = [
            self.responses[flow.demand.llm, flow.target.workflow].at(tp, gpu_share)
            for flow in flows
        ]
        known = [blend for blend in found if blend is not None]
        if len(known) < len(found):
            return None
        if gpu_share >= 1:
            return known
        return [
            replace(blend, slowdown=self.slowdowns.get(flow.demand.llm, 1.0))
            for flow, blend in zip(flows, known, strict=True)
        ]


def _latency(demand: Demand, stages: Sequence[StagePrediction]) -> float:
    """Mean latency of a run in seconds. `other` time stays as it was traced, and is negative where
    calls of different LLMs overlap. A run is never shorter than its longest stage.
    """
    longest = max(stage.seconds for stage in stages)
    return max(longest, demand.other_time + sum(stage.seconds for stage in stages))
