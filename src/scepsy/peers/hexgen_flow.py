"""Dispatch to the least workload, urgent calls first.

Source: HexGen-Flow (arXiv 2505.05286) and its public simulator. Replica: the greatest
alpha * (t_least / t_here) - (1 - alpha) * (workload here / mean workload); where replicas are
alike, as ours are within an LLM, only workload tells. Queue: a run's deadline is split over its
calls, SLO_ij = (what is left of it) * t_ij / (t of all calls to come), and the most urgent,
t_ij - (SLO_ij - waited), goes first. All that wait become urgent equally fast, so the order is that
of a time fixed when the call is sent: now + SLO_ij - t_ij. Our implementation of that policy.

What it is given: the true lengths of answers, so that t is as good as can be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scepsy.peers.work import CostsOf
from scepsy.sim.cluster.simulation import Ask, ServedCall, Server

TICKS = 1000.0
"""Priorities per second."""


@dataclass(slots=True)
class HexgenFlow:
    """`work` is the seconds of calls of a run, and `deadline` its seconds, by workflow: means.
    `alpha` weighs the fit of a replica against its workload.
    """

    costs: CostsOf
    work: Mapping[str, float]
    deadline: Mapping[str, float]
    alpha: float = 0.2
    _queued: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _began: dict[int, float] = field(default_factory=dict[int, float])
    _done: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))

    def choose(
        self, workflow: str, run: int, ask: Ask, replicas: Sequence[Server], now: float
    ) -> tuple[int, int]:
        work = self.costs[ask.llm].of(ask)
        queued = [self._queued[one.replica] for one in replicas]
        mean = sum(queued) / len(queued) or 1.0
        widest = max(one.capacity for one in replicas)
        score = [
            self.alpha * one.capacity / widest - (1 - self.alpha) * waiting / mean
            for one, waiting in zip(replicas, queued, strict=True)
        ]
        index = max(range(len(replicas)), key=lambda one: score[one])
        self._queued[replicas[index].replica] += work
        began = self._began.setdefault(run, now)
        to_come = max(work, self.work[workflow] - self._done[run])
        budget = (began + self.deadline[workflow] - now) * work / to_come
        return index, round((now + budget - work) * TICKS)

    def ended(self, call: ServedCall) -> None:
        work = self.costs[call.ask.llm].of(call.ask)
        self._queued[call.replica] -= work
        self._done[call.run] += work
