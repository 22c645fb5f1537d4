"""Dispatch to the worker of earliest expected finish time, counting model and data transfers.

Source: Compass / Navigator (arXiv 2402.17652): a task goes to the worker where it is expected to
finish first, which counts the worker's queue, loading a model that is not resident there, and
transferring inputs that are elsewhere. Our implementation applies that rule at dispatch. (Compass
plans first and repairs the plan at dispatch; only the second phase is implemented.)

In a static deployment every replica holds its LLM, so the loading time is zero. The data of a call
are its run's KV cache: every replica but the one that served the run's last call of that LLM has
to compute the prefix again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from scepsy.hardware.memory import BLOCK_TOKENS
from scepsy.peers.work import CostsOf
from scepsy.sim.cluster.simulation import Ask, ServedCall, Server


@dataclass(slots=True)
class Compass:
    """`batch`: number of calls that a replica serves at once before the next one has to wait."""

    costs: CostsOf
    batch: int = 16
    _queued: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _home: dict[tuple[int, str], str] = field(default_factory=dict[tuple[int, str], str])

    def choose(
        self, workflow: str, run: int, ask: Ask, replicas: Sequence[Server], now: float
    ) -> tuple[int, int]:
        costs = self.costs[ask.llm]
        home = self._home.get((run, ask.llm))
        again = costs.prompt_token * BLOCK_TOKENS * len(ask.blocks)
        finish = [
            self._queued[one.replica] / self.batch + (0.0 if one.replica == home else again)
            for one in replicas
        ]
        index = min(range(len(replicas)), key=lambda one: finish[one])
        self._queued[replicas[index].replica] += costs.of(ask)
        self._home[run, ask.llm] = replicas[index].replica
        return index, 0

    def ended(self, call: ServedCall) -> None:
        self._queued[call.replica] -= self.costs[call.ask.llm].of(call.ask)
