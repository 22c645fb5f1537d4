"""A user-specified allocation with topology-aware batching.

Source: Ayo / Teola (arXiv 2407.00326): an engine's batch takes queries in the order in which they
came, and within a query the primitives that are deepest first (the longest way from the end of the
graph); instances are balanced by their requests. Our implementation of that policy: runs for
queries, priority in the engine's queue for batching, our own routing for balance.

What it is given: the best even-ish split (`user_specified.best`) and the graph with its depths,
which a workflow that decides as it goes cannot tell up front. Filling a batch to the engine's most
efficient size needs no rule of its own: continuous batching never waits for one. Its passes over
the graph (pruned dependencies, stages taken apart, prompts computed in part, answers streamed) are
rewrites of a program, not rules of a queue; `experiments/ayo_low_rates.py` applies to the
evaluation's programs what can be said of them, and bounds the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scepsy.peers.user_specified import best as ayo
from scepsy.routing.choose import choose
from scepsy.sim.cluster.simulation import Ask, ServedCall, Server

__all__ = ["DEEPEST", "TopologyAware", "ayo"]

DEEPEST = 1000
"""More than the longest way through a graph."""


@dataclass(slots=True)
class TopologyAware:
    """An `Ask`'s stage is minus its depth, as the workflow tells it."""

    turn: int = 0

    def choose(
        self, workflow: str, run: int, ask: Ask, replicas: Sequence[Server], now: float
    ) -> tuple[int, int]:
        index = choose(replicas, affinity=str(run), turn=self.turn) or 0
        self.turn += 1
        return index, run * DEEPEST + ask.stage

    def ended(self, call: ServedCall) -> None: ...
