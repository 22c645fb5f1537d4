"""Latencies of many recorded runs, computed on their dependency graphs as arrays (pure).

The graphs are sorted topologically into levels: all predecessors of a call are on lower levels. One
NumPy operation times a level of all runs, so the time that Python takes grows with the longest
chain of calls and not with their number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scepsy.traces.graph import RunGraph, Wait

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Level:
    """Nodes (calls and ends of runs) that can be timed together.

    Attributes:
        nodes: their indices.
        gaps: by node, seconds from the end of its last predecessor to its start.
        barrier: by node, the index in `begins` of its set of predecessors.
        before: the indices of all predecessors, one set after another.
        begins: by set, the position in `before` of its first predecessor.
    """

    nodes: Integers
    gaps: Floats
    barrier: Integers
    before: Integers
    begins: Integers


@dataclass(frozen=True, slots=True)
class RunTimes:
    """Recorded runs of one workflow.

    Attributes:
        llms: names of the LLMs.
        llm: by node, the index of its LLM in `llms`; -1 for the end of a run.
        run: by node, the index of its run.
        durations: by node, recorded seconds.
        ends: by run, the node that ends it.
        first: the nodes without predecessors, and the gap in seconds before each.
        levels: the other nodes, lowest level first.
    """

    llms: tuple[str, ...]
    llm: Integers
    run: Integers
    durations: Floats
    ends: Integers
    first: tuple[Integers, Floats]
    levels: tuple[Level, ...]

    def latencies(self, slower: Mapping[str, float]) -> Floats:
        """Seconds of each run, if the calls of an LLM take `slower` times their recorded duration
        (1 for an LLM that is not named).
        """
        factors = np.array([*(slower.get(name, 1.0) for name in self.llms), 1.0])
        took = self.durations * factors[self.llm]
        times = np.zeros(len(took))
        nodes, gaps = self.first
        times[nodes] = gaps + took[nodes]
        for level in self.levels:
            ready = np.maximum.reduceat(times[level.before], level.begins)
            times[level.nodes] = ready[level.barrier] + level.gaps + took[level.nodes]
        return times[self.ends]

    def seconds_in(self, llm: str) -> Floats:
        """Recorded seconds of all calls of `llm`, summed for each run."""
        mine = self.llm == (self.llms.index(llm) if llm in self.llms else len(self.llms))
        seconds = np.zeros(len(self.ends))
        np.add.at(seconds, self.run[mine], self.durations[mine])
        return seconds


def run_times(graphs: Sequence[RunGraph]) -> RunTimes:
    """At least one graph as arrays. The nodes of a run are its calls and then its end."""
    llms = tuple(sorted({call.llm for graph in graphs for call in graph.calls}))
    place = {name: index for index, name in enumerate(llms)}
    llm: list[int] = []
    run: list[int] = []
    durations: list[float] = []
    ends: list[int] = []
    first: list[tuple[int, float]] = []
    levels: defaultdict[int, _Collected] = defaultdict(_Collected)
    for number, graph in enumerate(graphs):
        base = len(llm)
        llm += [place[call.llm] for call in graph.calls] + [-1]
        durations += [call.duration for call in graph.calls] + [0.0]
        run += [number] * (len(graph.calls) + 1)
        ends.append(len(llm) - 1)
        depth: list[int] = []
        known: dict[tuple[int, ...], tuple[int, int]] = {}
        for index, wait in enumerate((*graph.waits, graph.end)):
            if not wait.after:
                first.append((base + index, wait.gap))
                depth.append(0)
                continue
            if wait.after not in known:
                level = 1 + max(depth[before] for before in wait.after)
                known[wait.after] = level, levels[level].barrier(base, wait.after)
            level, barrier = known[wait.after]
            levels[level].add(base + index, wait, barrier)
            depth.append(level)
    return RunTimes(
        llms=llms,
        llm=np.array(llm, dtype=np.int64),
        run=np.array(run, dtype=np.int64),
        durations=np.array(durations),
        ends=np.array(ends, dtype=np.int64),
        first=(np.array([at for at, _ in first]), np.array([gap for _, gap in first])),
        levels=tuple(levels[level].done() for level in sorted(levels)),
    )


class _Collected:
    """A level under construction."""

    def __init__(self) -> None:
        self._nodes: list[int] = []
        self._gaps: list[float] = []
        self._barriers: list[int] = []
        self._before: list[int] = []
        self._begins: list[int] = []

    def barrier(self, base: int, after: Sequence[int]) -> int:
        """Adds a set of predecessors of a run whose first node is `base`; returns its index."""
        self._begins.append(len(self._before))
        self._before += [base + index for index in after]
        return len(self._begins) - 1

    def add(self, node: int, wait: Wait, barrier: int) -> None:
        self._nodes.append(node)
        self._gaps.append(wait.gap)
        self._barriers.append(barrier)

    def done(self) -> Level:
        return Level(
            np.array(self._nodes),
            np.array(self._gaps),
            np.array(self._barriers),
            np.array(self._before),
            np.array(self._begins),
        )
