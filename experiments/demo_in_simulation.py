"""The demo's predictor against a long simulation of the same runs under the same plans.

    .venv/bin/python experiments/demo_in_simulation.py DIR...

Each DIR is the folder of a demo, of which only the traces are read. Curves are made as calibrated
ones are, from long simulations, with the step times that the simulation of the plan has, so what
differs is the predictor's own error. By the first and the last plan of the shortlist, at parts of
the target rates: replay over simulation, with what curves know of one replica only ("one"), with
the latency of several replicas ("latency"), and with the overlap of calls, too ("both"). Prints a
table. Two CPU minutes for each folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import msgspec
from e2_prediction import same_runs

from scepsy.core.cluster import Cluster
from scepsy.core.plan import Infeasible, Target
from scepsy.core.profile import POOLED_REPLICAS, Curve, Overlap
from scepsy.core.trace import Trace
from scepsy.curves.bursts import Stream, bursts_of
from scepsy.curves.jobs import Job, jobs
from scepsy.curves.open_loop import longest_run, one_by_one, open_loop, recordings
from scepsy.curves.overlap import parallelism
from scepsy.curves.rounds import Sample, typical_calls
from scepsy.curves.simulated_engine import EngineModel
from scepsy.curves.throughput_alone import throughput_alone
from scepsy.estimate.queueing.birth_death import max_sustained_rate
from scepsy.estimate.queueing.closed_loop import closed_loop
from scepsy.estimate.step_times.steps import Steps
from scepsy.hardware.memory import kv_capacity
from scepsy.planning.planner import shortlist
from scepsy.planning.problem import Problem
from scepsy.planning.shortlist import entry_of
from scepsy.predict import Pipeline, responses
from scepsy.predict import recordings as recorded_runs
from scepsy.profiler.points import profile_point
from scepsy.sim.workload.prefixes import prompt_blocks
from scepsy.store import read_cluster, read_llms, read_traces
from scepsy.traces.summarize import summarize

ROOT = Path(__file__).parent.parent
RATES = {"beam_search": 0.3, "rag": 0.6}
LOADS = (0.25, 0.5, 0.73, 0.9)
RUN_DURATIONS = 5
CALLS, CALLS_OF_PLAN = 6000, 40_000
PARTS = (0.7, 1.0, 1.5)


def curves(job: Job, known: Sequence[Trace], on: Cluster) -> Iterator[Curve]:
    """Of every workflow that calls the job's LLM. LLMs that generate nothing, which are idle nearly
    all the time here, are simulated alone only.
    """
    steps = Steps("h100", "modelled")
    timer = steps.timer(job.llm, job.tp, job.gpu_share)
    assert timer is not None
    by_workflow = {
        name: bursts_of([one for one in known if one.workflow == name], job.llm.name)
        for name in job.workflows
    }
    stream = Stream(by_workflow, {name: RATES[name] for name in by_workflow})
    calls = [c for of in by_workflow.values() for run in of for burst in run for c in burst.calls]
    kv_tokens = kv_capacity(
        job.llm, tp=job.tp, memory_share=job.memory_share, gpu_memory=on.gpu_memory
    )
    engine = EngineModel(job.llm, timer, kv_tokens, steps.request(job.llm), prompt_blocks(calls))
    top = max_sustained_rate(closed_loop(engine, stream))
    runs, longest = recordings(engine, stream), longest_run(stream)
    alone, shared = (one_by_one(engine, stream, runs, count) for count in (1, POOLED_REPLICAS))
    simulated: list[tuple[float, list[Sample], list[Sample]]] = [(0.0, alone, shared)]
    for load in LOADS if job.llm.kind == "generate" else ():
        pair: list[list[Sample]] = []
        for count in (1, POOLED_REPLICAS):
            seconds = max(RUN_DURATIONS * longest, CALLS / (load * top * count))
            _, found = open_loop(engine, stream, runs, load * top, seconds, replicas=count)
            pair.append(found)
        simulated.append((load, *pair))
    if job.llm.kind != "generate":
        simulated.append((LOADS[-1], alone, shared))
    idle = {name: of.duration for name, of in typical_calls(stream).items()}
    rates = throughput_alone(top, stream.calls, idle)
    for name in by_workflow:
        points = []
        for load, *both in simulated:
            own, several = ([one for one in of if one.workflow == name] for of in both)
            mean, pooled = (fmean(one.latency for one in of) for of in (own, several))
            known_of = {
                "one": Overlap(latency=1.0, parallelism=parallelism(own)),
                "pooled": Overlap(latency=pooled / mean, parallelism=parallelism(several)),
            }
            point = profile_point(load * rates[name], mean, 0.0, own)
            points.append(msgspec.structs.replace(point, **known_of))
        yield Curve(
            llm=job.llm.name,
            workflow=name,
            tp=job.tp,
            gpu_share=job.gpu_share,
            points=tuple(points),
            max_throughput=rates[name],
            engine="simulated",
            gpu_type="h100",
            source="calibrated",
        )


def without(of: Sequence[Curve], *names: str) -> list[Curve]:
    """The curves without these fields of their points."""
    return [
        msgspec.structs.replace(
            one,
            points=tuple(
                msgspec.structs.replace(point, **dict.fromkeys(names)) for point in one.points
            ),
        )
        for one in of
    ]


def lines(folder: Path) -> Iterator[str]:
    known = tuple(t for t in read_traces(folder / "traces").traces if t.workflow in RATES)
    llms = read_llms(ROOT / "examples" / "llms.toml")
    on = read_cluster(ROOT / "examples" / "cluster.toml")
    found = [curve for job in jobs(known, llms, on, (1.0,)) for curve in curves(job, known, on)]
    variants: Mapping[str, Sequence[Curve]] = {
        "one": without(found, "one", "pooled"),
        "latency": without(found, "one"),
        "both": found,
    }
    targets = tuple(Target(workflow=name, rate=rate) for name, rate in RATES.items())
    demands, recorded = summarize(known), recorded_runs(known)
    for part in PARTS:
        problems = {
            name: Problem(Pipeline(demands, targets, responses(of)), llms, on, 0.1).scaled(part)
            for name, of in variants.items()
        }
        listed = shortlist(problems["one"], recorded)
        assert not isinstance(listed, Infeasible), listed
        for entry in (listed.entries[0], listed.entries[-1]):
            again = same_runs(entry, problems["one"], known, 1.0, CALLS_OF_PLAN)
            assert again is not None
            means = {name: fmean(of) for name, of in again.latencies.items()}
            generators = next(one for one in entry.allocation.llms if one.llm == "generator")
            said = {
                name: entry_of(problem, recorded, entry.allocation, entry.placement).replay
                for name, problem in problems.items()
            }
            for workflow, mean in means.items():
                cells = [folder.name, f"{part:.0%}", f"{generators.replicas} x TP{generators.tp}"]
                cells += [f"{entry.replay.utilisation['generator']:.2f}", workflow, f"{mean:.3g}"]
                for prediction in said.values():
                    flow = next(w for w in prediction.workflows if w.workflow == workflow)
                    cells.append(f"{flow.latency_mean / mean - 1:+.1%}")
                yield f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="of demos, with traces/")
    heads = "demo", "of target", "generators", "utilisation", "workflow", "simulated, s"
    names = "one", "latency", "both"
    print(f"| {' | '.join([*heads, *names])} |\n{'|---' * (len(heads) + len(names))}|", flush=True)
    for folder in parser.parse_args().folders:
        for line in lines(folder):
            print(line, flush=True)


if __name__ == "__main__":
    main()
