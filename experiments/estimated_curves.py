"""Estimated curves against one replica alone under runs that arrive, in the same simulator.

    .venv/bin/python experiments/estimated_curves.py [--runs N]

For some replicas of the evaluation's cases: the mean latency of a call on its estimated curve, over
that in a simulation of N traced runs (`sim/recorded.py`) that arrive as a Poisson process, at parts
of the throughput that the estimate promises. Some three CPU minutes.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence

import msgspec
import numpy as np
from evaluation.problems import traces
from evaluation.tracing import cluster, plan_of
from evaluation.workflows import LLMS

from scepsy.core.plan import Placement, Replica, Slice
from scepsy.core.profile import Curve
from scepsy.core.trace import Trace
from scepsy.curves.jobs import Job, jobs
from scepsy.estimate.curves import estimate
from scepsy.estimate.step_times.steps import Steps
from scepsy.sim.cluster.deployment import deployment
from scepsy.sim.cluster.simulation import Simulation
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.sim.workload.recorded import replays

GPU = "h100"
PARTS = (0.1, 0.3, 0.5, 0.7, 0.85, 0.92)
SIZES = {
    "beam_search": (("generator", 1, 1.0), ("generator", 4, 1.0), ("verifier", 1, 0.3)),
    "rag": (("writer", 2, 1.0), ("reranker", 1, 0.5)),
    "coding": (("coder", 2, 1.0), ("coder", 4, 1.0)),
}
WARMUP = 0.25


def only(known: Sequence[Trace], llm: str) -> list[Trace]:
    """What the runs ask of one LLM; what lies between stays as gaps."""
    found: list[Trace] = []
    for trace in known:
        calls = tuple(call for call in trace.calls if call.llm == llm)
        if calls:
            start, end = min(c.start for c in calls), max(c.end for c in calls)
            found.append(msgspec.structs.replace(trace, calls=calls, start=start, end=end))
    return found


def simulated(job: Job, known: Sequence[Trace], rate: float, runs: int) -> float:
    """Mean seconds of a call where `rate` runs arrive per second."""
    machines = cluster(8, GPU)
    slices = tuple(
        Slice(node="n0", gpu=gpu, gpu_share=job.gpu_share, memory_share=job.memory_share)
        for gpu in range(job.tp)
    )
    replica = Replica(
        replica="one",
        llm=job.llm.name,
        tp=job.tp,
        slices=slices,
    )
    simulation = deployment(plan_of(Placement(replicas=(replica,)), LLMS, machines))
    assert isinstance(simulation, Simulation), simulation
    (workflow,) = replays(known, random.Random(0)).values()
    times = arrivals(rate, runs, random.Random(1), cv=1.0)
    simulate(simulation, [OpenLoopLoad(workflow, times)])
    told = [c.latency for c in simulation.calls if WARMUP * times[-1] <= c.start <= times[-1]]
    return float(np.mean(told))


def curve_of(job: Job, known: Sequence[Trace]) -> Curve:
    found = estimate(job, known, cluster(8, GPU), [Steps(GPU, "modelled")])
    assert not isinstance(found, str), found
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300, help="of each; three times of RAG")
    asked = parser.parse_args()
    print("| case, replica | calls/s |", *(f"{part:.0%} |" for part in PARTS))
    print("|---|---|" + "---|" * len(PARTS))
    for case, sizes in SIZES.items():
        known = traces(case, GPU, 8)
        of = {
            (job.llm.name, job.tp, job.gpu_share): job
            for job in jobs(known, LLMS, cluster(8, GPU), share_groups=True)
        }
        for llm, tp, share in sizes:
            mine, curve = only(known, llm), curve_of(of[llm, tp, share], known)
            rates, latencies = zip(*((p.rate, p.latency) for p in curve.points), strict=True)
            calls = sum(len(trace.calls) for trace in mine) / len(mine)
            runs = 3 * asked.runs if case == "rag" else asked.runs
            row: list[str] = []
            for part in PARTS:
                rate = part * curve.max_throughput
                true = simulated(of[llm, tp, share], mine, rate / calls, runs)
                row.append(f"{np.interp(rate, rates, latencies) / true - 1:+.0%} |")
            where = f"TP{tp}" + (f" x {share:g} GPU" if share < 1 else "")
            print(f"| {case}, {llm} {where} | {curve.max_throughput:.3g} |", *row, flush=True)


if __name__ == "__main__":
    main()
