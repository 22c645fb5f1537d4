"""Traced runs that arrive at a simulated engine as Poisson processes (pure)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import pairwise

from scepsy.core.trace import Call
from scepsy.curves.bursts import Chain, Stream
from scepsy.curves.rounds import Sample
from scepsy.curves.simulated_engine import EngineModel, ask_of, sample_of
from scepsy.sim.cluster.simulation import Ask
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.sim.workload.prefixes import Blocks
from scepsy.sim.workload.recorded import RecordedCall, RecordedWorkflow, Recording

RUN_DURATIONS_MIN = 5
"""A simulation lasts at least this many times as long as the longest run. The first such duration
is not counted, so that as many runs are active as later on.
"""

ALONE = 100.0
"""Seconds between runs, as a multiple of the longest run, for which each run has the engine to
itself.
"""


def recordings(engine: EngineModel, stream: Stream) -> dict[str, list[Recording]]:
    """The calls of every run of the stream, by workflow: each burst is sent when the one before
    has ended and the recorded gap is over.
    """
    rng, found = random.Random(0), dict[str, list[Recording]]()
    for name, runs in sorted(stream.runs.items()):
        found[name] = [_recording(engine, chain) for chain in runs]
        rng.shuffle(found[name])
    return found


def longest_run(stream: Stream) -> float:
    """Seconds from the first call of a run to the end of its last, as traced; the longest."""
    return max(run[-1].end - run[0].start for runs in stream.runs.values() for run in runs)


def open_loop(
    engine: EngineModel,
    stream: Stream,
    runs: Mapping[str, Sequence[Recording]],
    rate: float,
    seconds: float,
    seed: int = 0,
    replicas: int = 1,
) -> tuple[float, list[Sample]]:
    """Runs of all workflows together send `rate` calls per second to each replica for `seconds`.
    Returns the calls that are counted, and how many of them were sent to a replica per second.

    The runs of each workflow arrive as a Poisson process of their own, as they do at a deployment.
    With the same seed they come in the same order and with gaps in the same proportion (common
    random numbers), so that a curve is smooth and engines are compared with the same arrivals.
    """
    per_run = replicas * rate / stream.chain_calls(whole=True) / sum(stream.rates.values())
    loads = [
        OpenLoopLoad(
            RecordedWorkflow(name, runs[name]),
            arrivals(per_run * weight, count, random.Random(f"{seed}/{name}")),
        )
        for name, weight in sorted(stream.rates.items())
        if (count := round(per_run * weight * seconds))
    ]
    begin = longest_run(stream)
    simulation = engine.simulation(replicas)
    simulate(simulation, loads)
    counted = [sample_of(call) for call in simulation.calls if begin <= call.start < seconds]
    return len(counted) / max(seconds - begin, 1e-9) / replicas, counted


def one_by_one(
    engine: EngineModel,
    stream: Stream,
    runs: Mapping[str, Sequence[Recording]],
    replicas: int = 1,
) -> list[Sample]:
    """The calls of every run, each of which has the replicas to itself."""
    gap = ALONE * max(longest_run(stream), 1.0)
    simulation = engine.simulation(replicas)
    count = 0
    loads: list[OpenLoopLoad] = []
    for name, of in runs.items():
        times = [gap * (count + index) for index in range(len(of))]
        loads.append(OpenLoopLoad(RecordedWorkflow(name, of), times))
        count += len(of)
    simulate(simulation, loads)
    return [sample_of(call) for call in simulation.calls]


def _recording(engine: EngineModel, chain: Chain) -> Recording:
    gaps = (0.0, *(max(0.0, after.start - before.end) for before, after in pairwise(chain)))
    sizes = (0, *(len(burst.calls) for burst in chain), 1)  # the last is the end of the run
    nodes: list[RecordedCall] = []
    for index, (burst, gap) in enumerate(zip(chain, gaps, strict=True)):
        first = len(nodes) + len(burst.calls)
        then = tuple(range(first, first + sizes[index + 2]))
        for call, offset in zip(burst.calls, burst.offsets, strict=True):
            ask, blocks = ask_of(call, engine.llm), _blocks(engine, call)
            nodes.append(RecordedCall(ask, blocks, sizes[index], gap + offset, then))
    return Recording((*nodes, RecordedCall(Ask("", 0, 0), Blocks(), sizes[-2], 0.0, ())))


def _blocks(engine: EngineModel, call: Call) -> Blocks:
    return engine.blocks.get(call.call, Blocks()) if call.items == 1 else Blocks()
