"""A user-specified allocation with topology-aware batching.

Source: Ayo / Teola (arXiv 2407.00326): an engine's batch takes queries in order of arrival, and
within a query the primitives of greatest depth first (depth: the longest path to the end of the
graph). Queries are balanced over instances by request count. Our implementation of that policy: a
run stands for a query, a priority in the engine's queue for topology-aware batching, and our own
routing for the balance.

What it is given: the best even-ish split (`user_specified.best`), and the depth of every call in
the run's graph, which a workflow that decides as it goes does not know in advance. Ayo fills a
batch to the engine's most efficient size; continuous batching never waits to fill one, so that
rule is not needed. Ayo's graph optimisations (dependency pruning, stage decomposition, prefilling
part of a prompt early, streaming an answer into the next stage) rewrite the program instead of
ordering the queue. They are not implemented here: `experiments/ayo_low_rates.py` applies some of
them to the evaluation's programs and bounds the effect of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scepsy.peers.user_specified import best as ayo
from scepsy.routing.choose import choose
from scepsy.sim.cluster.simulation import Ask, ServedCall, Server

__all__ = ["DEPTH_MAX", "TopologyAware", "ayo"]

DEPTH_MAX = 1000
"""Larger than the depth of any run's graph, so that the order of runs comes before depth."""


@dataclass(slots=True)
class TopologyAware:
    """Runs in order of arrival, then by depth. The workflow sets `Ask.stage` to minus the depth."""

    turn: int = 0

    def choose(
        self, workflow: str, run: int, ask: Ask, replicas: Sequence[Server], now: float
    ) -> tuple[int, int]:
        index = choose(replicas, affinity=str(run), turn=self.turn) or 0
        self.turn += 1
        return index, run * DEPTH_MAX + ask.stage

    def ended(self, call: ServedCall) -> None: ...
