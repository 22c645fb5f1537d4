"""Recorded workflows: dependency graphs of runs, repeated with simulated calls."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from scepsy.core.trace import Call, Trace
from scepsy.errors import BadInput
from scepsy.sim.cluster.simulation import Ask, ServedCall, Simulation
from scepsy.sim.workload.prefixes import Blocks, prompt_blocks
from scepsy.traces.graph import RunGraph, graph_of
from scepsy.traces.lengths import known_tokens


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call of a recorded run. The calls in `next` wait for it."""

    ask: Ask
    blocks: Blocks
    waits: int
    gap: float
    next: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded run. Its last entry is the end of the run."""

    nodes: tuple[RecordedCall, ...]


@dataclass(slots=True)
class RecordedWorkflow:
    """A workflow whose runs repeat the recordings one after another, in the order given."""

    workflow: str
    recordings: Sequence[Recording]
    begun: int = 0

    def from_the_first(self) -> RecordedWorkflow:
        """The same recordings, starting again at the first."""
        return RecordedWorkflow(self.workflow, self.recordings)

    def begin(self, simulation: Simulation, run: int) -> None:
        recording = self.recordings[self.begun % len(self.recordings)]
        self.begun += 1
        _Run(simulation, run, recording).begin()


def replays(traces: Iterable[Trace], rng: random.Random) -> dict[str, RecordedWorkflow]:
    """By workflow: its successful runs, in random order.

    Raises BadInput for a call with an unknown number of tokens.
    """
    graphs = [graph for trace in traces if trace.ok and (graph := graph_of(trace)).calls]
    blocks = prompt_blocks(call for graph in graphs for call in graph.calls)
    found: defaultdict[str, list[Recording]] = defaultdict(list)
    for graph in graphs:
        asks = [_ask(call) for call in graph.calls]
        prompts = [blocks.get(call.call, Blocks()) for call in graph.calls]
        found[graph.workflow].append(recording(graph, asks, prompts))
    for recordings in found.values():
        rng.shuffle(recordings)
    return {
        workflow: RecordedWorkflow(workflow, recordings) for workflow, recordings in found.items()
    }


def _ask(call: Call) -> Ask:
    output = known_tokens(call, "output_tokens") if call.generates else 0
    if not call.prompt_tokens or output is None:
        raise BadInput(
            f"call {call.call!r} of run {call.run!r} ({call.workflow}) has an unknown number of "
            f"tokens: {call.prompt_tokens} prompt, {call.output_tokens} output; trace engines "
            "that report usage"
        )
    return Ask(call.llm, call.prompt_tokens, output, items=max(1, call.items))


def recording(graph: RunGraph, asks: Sequence[Ask], blocks: Sequence[Blocks]) -> Recording:
    """A graph with the requests of its calls and the blocks of their prompts."""
    waits = (*graph.waits, graph.end)
    next_of: list[list[int]] = [[] for _ in waits]
    for index, wait in enumerate(waits):
        for before in wait.after:
            next_of[before].append(index)
    calls = (*zip(asks, blocks, strict=True), (Ask("", 0, 0), Blocks()))
    return Recording(
        tuple(
            RecordedCall(ask, prompt, len(wait.after), wait.gap, tuple(after))
            for (ask, prompt), wait, after in zip(calls, waits, next_of, strict=True)
        )
    )


class _Run:
    __slots__ = ("_left", "_nodes", "_run", "_simulation")

    def __init__(self, simulation: Simulation, run: int, recorded: Recording) -> None:
        self._simulation = simulation
        self._run = run
        self._nodes = recorded.nodes
        self._left = [node.waits for node in recorded.nodes]

    def begin(self) -> None:
        for index, left in enumerate(self._left):
            if not left:
                self._after_gap(index)

    def _after_gap(self, index: int) -> None:
        gap = self._nodes[index].gap
        if gap:
            events = self._simulation.events
            events.at(events.now + gap, self._start, index)
        else:
            self._start(index)

    def _start(self, index: int) -> None:
        if index == len(self._nodes) - 1:
            self._simulation.end_run(self._run)
            return
        node = self._nodes[index]
        ask = node.ask
        if node.blocks.count:
            ask = ask._replace(blocks=node.blocks.of_run(self._run))
        self._simulation.call(self._run, ask, partial(self._ended, index))

    def _ended(self, index: int, _call: ServedCall) -> None:
        for after in self._nodes[index].next:
            self._left[after] -= 1
            if not self._left[after]:
                self._after_gap(after)
