"""Dispatch to the replica with the least workload; the most urgent call first.

Source: HexGen-Flow (arXiv 2505.05286) and its public simulator. Our implementation of that policy.

Dispatch maximises alpha * (t_min / t_r) - (1 - alpha) * (w_r / w_mean) over replicas r, where t_r
is the duration of the call on r, t_min the least such duration, w_r the work queued on r in
seconds, and w_mean its mean over replicas. The replicas of one LLM are equal here, so w_r decides.

Queue: a run's deadline is divided over its calls. Call j of run i gets the budget
SLO_ij = (seconds left of the deadline) * t_ij / (t of all remaining calls), and the call of highest
urgency, t_ij - (SLO_ij - seconds waited), goes first. The urgency of all waiting calls grows at the
same rate, so the order is that of now + SLO_ij - t_ij at the time when the call is sent.

What it is given: the true output lengths, so that its estimate of t is exact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scepsy.peers.work import CostsOf
from scepsy.sim.cluster.simulation import Ask, ServedCall, Server

PRIORITY_LEVELS_PER_SECOND = 1000.0
"""Priorities are integers; a difference of one second is 1,000."""


@dataclass(slots=True)
class HexgenFlow:
    """`work`: mean total call duration of a run, in seconds, by workflow. `deadline`: seconds that
    a run may take, by workflow. `alpha`: weight of a replica's speed against its workload.
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
        return index, round((now + budget - work) * PRIORITY_LEVELS_PER_SECOND)

    def ended(self, call: ServedCall) -> None:
        work = self.costs[call.ask.llm].of(call.ask)
        self._queued[call.replica] -= work
        self._done[call.run] += work
