"""Dispatch by where an LLM is resident, and where a call's data already lie.

Source: Compass / Navigator (arXiv 2402.17652): a task goes to the worker where it is expected to
finish first, counting the worker's queue, the load of a model that is not resident there, and the
transfer of inputs that are elsewhere. Our implementation of that rule, at dispatch (its second
phase, which repairs the plan of the first).

In a static deployment every replica has its LLM resident, so that term is zero. A call's data are
its run's KV cache: a replica other than the one that served the run's last call to that LLM has to
compute the prefix again, at most what the two prompts share.
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
    """`batch`: how many calls a replica serves at once before one more has to wait."""

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
