"""One planning problem: all that a decision depends on, varied in what-if questions (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from scepsy.core.cluster import Cluster
from scepsy.core.demand import Demand
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Target
from scepsy.errors import BadInput
from scepsy.planning.external import EndpointLlm
from scepsy.predict import Pipeline, Response
from scepsy.search import StageCosts

ReplicaTest = Callable[[int, float, NDArray[np.int64]], NDArray[np.bool_] | bool]
"""Whether replicas at this TP degree and GPU share, in each of these numbers, have a property."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Replicas of the LLM `llm` that the search must not propose: those that pass `test`."""

    llm: str
    test: ReplicaTest


@dataclass(frozen=True, slots=True)
class Problem:
    """The workflows at their target rates, the LLMs that serve them, and the GPUs.

    Attributes:
        pipeline: demands, targets and curves, with the slowdown by neighbours on shared GPUs that
            is assumed. It is built once; problems that differ in the cluster only share it.
        llms: descriptions of at least the LLMs that the targeted workflows call.
        share_step: the step in which GPU shares are searched.
        endpoints: called LLMs that are served elsewhere and take none of these GPUs.
        share_groups: whether a replica may take a part of each GPU of a TP group.
        exclusions: replicas that must not be proposed.
        gpus: a plan uses at most this many GPUs of the cluster; None: all of them.
        gpu_price: weighted seconds that the search adds to its objective per GPU of compute. It
            then leaves GPU shares free that reduce latency by less than their price.
    """

    pipeline: Pipeline
    llms: tuple[LlmSpec, ...]
    cluster: Cluster
    share_step: float
    endpoints: tuple[EndpointLlm, ...] = ()
    share_groups: bool = False
    exclusions: tuple[Exclusion, ...] = ()
    gpus: int | None = None
    gpu_price: float = 0.0

    @property
    def demands(self) -> tuple[Demand, ...]:
        return self.pipeline.demands

    @property
    def targets(self) -> tuple[Target, ...]:
        return self.pipeline.targets

    @property
    def responses(self) -> Mapping[tuple[str, str], Response]:
        """Curves by LLM and workflow."""
        return self.pipeline.responses

    @property
    def gpus_available(self) -> int:
        """GPUs that a plan may use."""
        return self.cluster.gpus if self.gpus is None else min(self.gpus, self.cluster.gpus)

    @property
    def needed_llms(self) -> tuple[LlmSpec, ...]:
        """The LLMs that the targeted workflows call. Raises BadInput where one is not described."""
        known = {llm.name: llm for llm in self.llms}
        for name in self.pipeline.llms:
            if name not in known:
                raise BadInput(f"LLM {name!r} is called by the traces, but the LLM file lacks it")
        return tuple(known[name] for name in self.pipeline.llms)

    def on(self, cluster: Cluster) -> Problem:
        """The same workflows on other GPUs."""
        return replace(self, cluster=cluster)

    def within(self, gpus: int) -> Problem:
        """The same on at most `gpus` GPUs of the cluster."""
        return replace(self, gpus=gpus)

    def priced(self, gpu_price: float) -> Problem:
        """The same problem with a price on compute, in weighted seconds per GPU."""
        return replace(self, gpu_price=gpu_price)

    def scaled(self, scale: float, workflow: str | None = None) -> Problem:
        """The same with every target rate multiplied by `scale`, or only that of one workflow."""
        targets = tuple(
            msgspec.structs.replace(target, rate=target.rate * scale)
            if workflow in (None, target.workflow)
            else target
            for target in self.targets
        )
        return replace(self, pipeline=replace(self.pipeline, targets=targets))

    def excluding(self, llm: str, test: ReplicaTest) -> Problem:
        """The same, where `llm` may not have replicas that pass `test`."""
        return replace(self, exclusions=(*self.exclusions, Exclusion(llm, test)))


def predict(problem: Problem) -> StageCosts:
    """The predictor that the search minimises: a function from an LLM, a TP degree, a GPU share and
    numbers of replicas to the seconds that they add to the weighted sum of mean latencies, by the
    Aggregate LLM Pipeline, and the price of their GPUs. Infinite for replicas that cannot sustain
    the targets or are excluded.
    """
    latency, price = problem.pipeline.stage_costs, problem.gpu_price

    def costs(
        llm: LlmSpec, tp: int, gpu_share: float, replicas: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        found = latency(llm, tp, gpu_share, replicas)
        if price:
            found = found + price * tp * gpu_share * replicas
        for exclusion in problem.exclusions:
            if exclusion.llm == llm.name:
                found = np.where(exclusion.test(tp, gpu_share, replicas), np.inf, found)
        return found

    return costs
