"""Latency of calls to several replicas, over that of calls to one replica at the same load each.

    .venv/bin/python experiments/curves_of_replicas.py [--demo DIR...]

A curve is made of whole runs at one replica. Here the traced runs of the evaluation's workflows,
and those of demos (DIR has their `traces/`), arrive as a Poisson process at R replicas, routed as
the gateway does, at R times the rate. Gaps between a run's calls are as traced, so there is one LLM
at a time. Prints a table as it goes. Two CPU minutes.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from evaluation.tracing import cluster, traced
from evaluation.workflows import LLMS, programs

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.trace import Trace
from scepsy.curves.bursts import Stream, bursts_of
from scepsy.curves.open_loop import longest_run, open_loop, recordings
from scepsy.curves.rounds import Sample
from scepsy.curves.simulated_engine import EngineModel
from scepsy.estimate.queueing.birth_death import max_sustained_rate
from scepsy.estimate.queueing.closed_loop import closed_loop
from scepsy.estimate.step_times.steps import Steps
from scepsy.hardware.memory import kv_capacity
from scepsy.sim.workload.prefixes import prompt_blocks
from scepsy.store import read_cluster, read_llms, read_traces

ROOT = Path(__file__).parent.parent
GPU = "h100"
RUNS = 200
"""Traced runs of each workflow."""
REPLICAS = (1, 2, 4, 8)
LOADS = (0.1, 0.3, 0.5, 0.7, 0.85)
CALLS = 6000
"""Calls in one simulation, about; more where runs are long."""
RUN_DURATIONS = 5
"""A simulation lasts at least this many times as long as the longest run, the first of which is not
counted.
"""
SIZES = {
    "beam_search": (("generator", 1),),
    "rag": (("writer", 2),),
    "research": (("writer", 4), ("generator", 1)),
}
"""By workflow: LLM and TP degree."""
DEMO_SIZES = (("generator", 4), ("generator", 2), ("verifier", 1))
DEMO_RATES = {"beam_search": 0.3, "rag": 0.6}
HEADS = (
    *("runs of", "LLM", "seats", "calls in a burst", "load", "call, s"),
    *(f"{what}, R = {count}" for what in ("call", "burst") for count in REPLICAS[1:]),
)


def bursts(samples: Sequence[Sample]) -> list[float]:
    """Seconds of each burst, which is calls of one run that overlap."""
    by_run: defaultdict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_run[sample.unit].append(sample)
    found: list[float] = []
    for own in by_run.values():
        start, end = own[0].sent, own[0].sent + own[0].latency
        for call in own[1:]:
            if call.sent >= end:
                found.append(end - start)
                start = call.sent
            end = max(end, call.sent + call.latency)
        found.append(end - start)
    return found


def lines(
    case: str,
    size: tuple[LlmSpec, int],
    traces: Sequence[Trace],
    rates: Mapping[str, float],
    on: Cluster,
) -> Iterator[str]:
    """One line of the table for each load: seconds of a call at one replica, and for several
    replicas the ratios of the means of calls and of bursts.
    """
    llm, tp = size
    by_workflow = {
        name: bursts_of([t for t in traces if t.workflow == name], llm.name) for name in rates
    }
    runs = {name: of for name, of in by_workflow.items() if of}
    stream = Stream(runs, {name: rates[name] for name in runs})
    calls = [c for of in runs.values() for run in of for burst in run for c in burst.calls]
    steps = Steps(GPU, "modelled")
    timer = steps.timer(llm, tp, 1.0)
    assert timer is not None
    kv_tokens = kv_capacity(llm, tp=tp, memory_share=1.0, gpu_memory=on.gpu_memory)
    engine = EngineModel(llm, timer, kv_tokens, steps.request(llm), prompt_blocks(calls))
    top = max_sustained_rate(closed_loop(engine, stream))
    recorded, longest = recordings(engine, stream), longest_run(stream)
    for load in LOADS:
        seen: list[tuple[float, float]] = []
        for count in REPLICAS:
            seconds = max(RUN_DURATIONS * longest, longest + CALLS / (count * load * top))
            _, found = open_loop(engine, stream, recorded, load * top, seconds, replicas=count)
            seen.append((fmean(one.latency for one in found), fmean(bursts(found))))
        one = seen[0]
        ratios = [f"{several[i] / one[i]:.2f}" for i in (0, 1) for several in seen[1:]]
        cells = [case, f"{llm.name} TP{tp}", str(llm.max_sequences), f"{stream.burst_size:.1f}"]
        yield "| " + " | ".join([*cells, f"{load:.0%}", f"{one[0]:.3g}", *ratios]) + " |"


def evaluated() -> Iterator[str]:
    """Of the evaluation's workflows, each alone."""
    specs = {llm.name: llm for llm in LLMS}
    for name, sizes in SIZES.items():
        known = traced(programs(1)[name], RUNS, LLMS, GPU)
        for llm, tp in sizes:
            yield from lines(name, (specs[llm], tp), known, {name: 1.0}, cluster(8, GPU))


def demo(folder: Path) -> Iterator[str]:
    """Of the programs of a demo."""
    known = read_traces(folder / "traces").traces
    specs = {llm.name: llm for llm in read_llms(ROOT / "examples" / "llms.toml")}
    on = read_cluster(ROOT / "examples" / "cluster.toml")
    for llm, tp in DEMO_SIZES:
        yield from lines("demo", (specs[llm], tp), known, DEMO_RATES, on)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, nargs="*", default=[], help="folders with traces/")
    arguments = parser.parse_args()
    print(f"| {' | '.join(HEADS)} |\n{'|---' * len(HEADS)}|", flush=True)
    for source in (*map(demo, arguments.demo), evaluated()):
        for line in source:
            print(line, flush=True)


if __name__ == "__main__":
    main()
