"""One planning problem: all that a decision depends on, varied in what-if questions (pure)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from scepsy.core.cluster import Cluster
from scepsy.core.demand import Demand
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, Infeasible, Target
from scepsy.errors import BadInput
from scepsy.place import place
from scepsy.predict import Pipeline, Response
from scepsy.search import Choice, Search, StageCosts, best_placeable, search


@dataclass(frozen=True, slots=True)
class Problem:
    """What to sustain, with what, on which GPUs. `share_step` is the grain of a GPU share."""

    demands: tuple[Demand, ...]
    targets: tuple[Target, ...]
    responses: dict[tuple[str, str], Response]
    llms: tuple[LlmSpec, ...]
    cluster: Cluster
    share_step: float

    @property
    def pipeline(self) -> Pipeline:
        """Raises BadInput for a target without traces, an LLM without a profile."""
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
        return self._best(self.pipeline.stage_costs)

    def without(self, allocation: Allocation, llm: str) -> Choice | Infeasible:
        """The best with replicas of `llm` of another kind (TP degree, part of a GPU) than
        `allocation` has.
        """
        mine = next(part for part in allocation.llms if part.llm == llm)
        priced = self.pipeline.stage_costs

        def costs(
            spec: LlmSpec, tp: int, gpu_share: float, replicas: NDArray[np.int64]
        ) -> NDArray[np.float64]:
            same = spec.name == llm and (tp, gpu_share < 1) == (mine.tp, mine.gpu_share < 1)
            found = priced(spec, tp, gpu_share, replicas)
            return np.full_like(found, np.inf) if same else found

        return self._best(costs)

    def pruned(self) -> tuple[str, ...]:
        """What the search did not even consider, and why."""
        found = self._search(self.pipeline.stage_costs)
        return () if isinstance(found, Infeasible) else tuple(found.space.reasons)

    def on(self, cluster: Cluster) -> Problem:
        """The same on other GPUs."""
        return replace(self, cluster=cluster)

    def scaled(self, scale: float) -> Problem:
        """The same with every target rate multiplied by `scale`."""
        targets = tuple(
            msgspec.structs.replace(target, rate=target.rate * scale) for target in self.targets
        )
        return replace(self, targets=targets)

    def _best(self, costs: StageCosts) -> Choice | Infeasible:
        found = self._search(costs)
        if isinstance(found, Infeasible):
            return found
        return best_placeable(
            found, lambda allocation: place(allocation, self.cluster), runners_up=1
        )

    def _search(self, costs: StageCosts) -> Search | Infeasible:
        return search(self.needed_llms, self.cluster, costs, share_step=self.share_step)
