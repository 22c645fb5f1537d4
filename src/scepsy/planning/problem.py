"""One planning problem: all that a decision depends on, varied in what-if questions (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from scepsy.core.cluster import Cluster
from scepsy.core.demand import Demand
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, Infeasible, LlmAllocation, Placement, Target
from scepsy.errors import BadInput
from scepsy.hardware.gpus import known_gpu
from scepsy.place import place
from scepsy.planning.external import Hosted, beyond_limit
from scepsy.predict import Pipeline, Response, sharing
from scepsy.search import Choice, Search, StageCosts, best_placeable, search

ROUNDS = 4
"""Most times that a problem is decided until what GPUs are shared with is what was reckoned with.
"""
SETTLED = 0.01
"""Part by which calls may take longer than was reckoned with."""


Alike = Callable[[int, float, NDArray[np.int64]], NDArray[np.bool_] | bool]
"""Of replicas at a TP degree with a GPU share, by their number: which are like some others."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What to sustain, with what, on which GPUs. `share_step` is the grain of a GPU share.
    `hosted` are LLMs that take none of these. `share_groups`: a replica may take a part of each GPU
    of a TP group, beside others.

    `stretch` is what parts of GPUs are reckoned to cost for their neighbours (`Pipeline`).

    A plan uses at most `gpus` GPUs of the cluster; None: all of them. `gpu_price` is added to the
    search's objective for every GPU's worth of compute, in weighted seconds: at a price, the search
    leaves shares free that bring less than it.
    """

    demands: tuple[Demand, ...]
    targets: tuple[Target, ...]
    responses: dict[tuple[str, str], Response]
    llms: tuple[LlmSpec, ...]
    cluster: Cluster
    share_step: float
    hosted: tuple[Hosted, ...] = ()
    stretch: Mapping[str, float] = field(default_factory=dict[str, float])
    share_groups: bool = False
    gpus: int | None = None
    gpu_price: float = 0.0

    @property
    def pipeline(self) -> Pipeline:
        """Raises BadInput for a target without traces, an LLM without a profile."""
        return Pipeline(self.demands, self.targets, self.responses, self.stretch)

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
        beyond = beyond_limit(self.hosted, self.targets)
        if beyond is not None:
            return beyond
        return self._best(self._stage_costs)

    def place(self, allocation: Allocation) -> Placement | Infeasible:
        """Where its replicas run, on at most `gpus` GPUs."""
        return place(allocation, self.cluster, gpus=self.gpus)

    def settled(self) -> tuple[Problem, Choice | Infeasible]:
        """The decision that still holds once the placement tells who shares a GPU with whom, and
        the problem with what that costs.
        """
        return self.rounds()[-1]

    def rounds(self) -> tuple[tuple[Problem, Choice | Infeasible], ...]:
        """How it is settled: the decision with each GPU's part as if it were alone there, then with
        what the decision before was found to cost, until no call takes longer than reckoned.

        The reckoning only ever rises, so this ends, on the safe side.
        """
        found: list[tuple[Problem, Choice | Infeasible]] = [(self, self.decide())]
        for _ in range(ROUNDS):
            problem, chosen = found[-1]
            if isinstance(chosen, Infeasible):
                break
            dearer = problem.dearer(chosen.candidate.allocation, chosen.placement)
            if dearer is None:
                break
            found.append((dearer, dearer.decide()))
        return tuple(found)

    def placed(self, allocation: Allocation, placement: Placement) -> Problem:
        """The problem with what neighbours cost this allocation in this place, and no more."""
        problem = replace(self, stretch={})
        for _ in range(ROUNDS):
            dearer = problem.dearer(allocation, placement)
            if dearer is None:
                break
            problem = dearer
        return problem

    def dearer(self, allocation: Allocation, placement: Placement) -> Problem | None:
        """The problem with what neighbours cost more there than is reckoned; None where nothing."""
        found, known = self.shared(allocation, placement), self.stretch
        if all(cost <= (1 + SETTLED) * known.get(llm, 1.0) for llm, cost in found.items()):
            return None
        risen = {llm: max(cost, known.get(llm, 1.0)) for llm, cost in found.items()}
        return replace(self, stretch={**known, **risen})

    def shared(self, allocation: Allocation, placement: Placement) -> dict[str, float]:
        """What neighbours on its GPUs cost each LLM; nothing where the GPU type is not known."""
        gpu = known_gpu(self.cluster.nodes[0].gpu_type)
        if gpu is None:
            return {}
        return sharing(self.pipeline, allocation, placement, self.llms, gpu)

    def without(self, llm: str, alike: Alike) -> Choice | Infeasible:
        """The best where `llm` has no replicas that are `alike`."""
        priced = self._stage_costs

        def costs(
            spec: LlmSpec, tp: int, gpu_share: float, replicas: NDArray[np.int64]
        ) -> NDArray[np.float64]:
            found = priced(spec, tp, gpu_share, replicas)
            barred = spec.name == llm and alike(tp, gpu_share, replicas)
            return np.where(barred, np.inf, found)

        return self._best(costs)

    def kinds(self, allocation: Allocation) -> dict[str, Choice | Infeasible]:
        """By LLM of `allocation`: the best with its replicas of another kind (TP degree, part of a
        GPU).
        """
        return {part.llm: self.without(part.llm, _kind(part)) for part in allocation.llms}

    def count(self, mine: LlmAllocation) -> Choice | Infeasible:
        """The best with another number of replicas of that LLM."""
        return self.without(mine.llm, lambda tp, gpu_share, replicas: replicas == mine.replicas)

    def pruned(self) -> tuple[str, ...]:
        """What the search did not even consider, and why."""
        found = self._search(self._stage_costs)
        return () if isinstance(found, Infeasible) else tuple(found.space.reasons)

    def on(self, cluster: Cluster) -> Problem:
        """The same on other GPUs."""
        return replace(self, cluster=cluster)

    def within(self, gpus: int) -> Problem:
        """The same on at most `gpus` GPUs of the cluster."""
        return replace(self, gpus=gpus)

    def priced(self, gpu_price: float) -> Problem:
        """The same with a price on every GPU's worth of compute, in weighted seconds."""
        return replace(self, gpu_price=gpu_price)

    def scaled(self, scale: float) -> Problem:
        """The same with every target rate multiplied by `scale`."""
        targets = tuple(
            msgspec.structs.replace(target, rate=target.rate * scale) for target in self.targets
        )
        return replace(self, targets=targets)

    @property
    def _stage_costs(self) -> StageCosts:
        """What the search minimises: the pipeline's weighted seconds, and the price of the GPUs."""
        costs, price = self.pipeline.stage_costs, self.gpu_price
        if not price:
            return costs

        def priced(
            llm: LlmSpec, tp: int, gpu_share: float, replicas: NDArray[np.int64]
        ) -> NDArray[np.float64]:
            return costs(llm, tp, gpu_share, replicas) + price * tp * gpu_share * replicas

        return priced

    def _best(self, costs: StageCosts) -> Choice | Infeasible:
        found = self._search(costs)
        if isinstance(found, Infeasible):
            return found
        return best_placeable(found, self.place, runners_up=1)

    def _search(self, costs: StageCosts) -> Search | Infeasible:
        return search(
            self.needed_llms,
            self.cluster,
            costs,
            share_step=self.share_step,
            share_groups=self.share_groups,
            gpus=self.gpus,
        )


def _kind(mine: LlmAllocation) -> Alike:
    return lambda tp, gpu_share, _: (tp, gpu_share < 1) == (mine.tp, mine.gpu_share < 1)
