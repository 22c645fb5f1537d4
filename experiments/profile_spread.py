"""How much does a profile vary from one measurement to the next, and is it right on average? With
and without a simulation as control variate (docs/decisions.md).

    scepsy demo --out out/demo && .venv/bin/python experiments/profile_spread.py out/demo out/rounds

Profiles one LLM of the demo several times on emulated engines, as the demo does but with other
arrivals, and makes curves of each repetition in both ways. Prints their mean error against a long
simulation with the emulated engine's own step times, and their standard deviation, at several
utilisations. Rounds are kept in the second folder; with rounds that are already there, nothing is
measured. About 80 s for each repetition.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import numpy as np

from scepsy.cli.descriptions import cluster_of
from scepsy.core.profile import Curve
from scepsy.curves.batch_means import mean_latency
from scepsy.curves.bursts import Stream
from scepsy.curves.jobs import jobs
from scepsy.curves.open_loop import open_loop, recordings
from scepsy.curves.rounds import typical_calls
from scepsy.curves.simulated_engine import EngineModel
from scepsy.demo.settings import settings_for
from scepsy.engines import EngineOptions, engine_for
from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.step_time import StepTimer
from scepsy.profiler import ProfileSetup, RoundLog, profile
from scepsy.profiler.curves import curves
from scepsy.store import read_llms, read_traces
from scepsy.traces.lengths import with_lengths

LLM, TP_DEGREES = "generator", (4, 2)
REPETITIONS = 6
UTILISATIONS = (0.2, 0.4, 0.6, 0.75)
LONG = 8000.0
"""Seconds of the simulation that is taken for the truth."""


Profiles = list[dict[str, Curve]]
"""The curves of each repetition, by workflow."""


def main(demo: Path, kept: Path) -> None:
    settings = settings_for("emulated", Path(), demo, 0)
    cluster, llms = cluster_of(settings.cluster), read_llms(settings.llms)
    rates = {program.workflow: program.rate for program in settings.programs}
    known = [t for t in read_traces(demo / "traces").traces if t.workflow in rates]
    traces, _ = with_lengths(known, llms)
    every = jobs(traces, llms, cluster, settings.shares)
    for job in (job for job in every if job.llm.name == LLM and job.tp in TP_DEGREES):
        measured, calibrated = Profiles(), Profiles()
        for seed in range(1, REPETITIONS + 1):
            folder = kept / str(seed)
            options = EngineOptions(seed=seed, exit_with_parent=True)
            setup = ProfileSetup(
                traces, cluster, settings.sweep, options, folder, folder, lambda *_: None, rates
            )
            with RoundLog(folder / "rounds.jsonl") as log:
                made = asyncio.run(profile([job], setup, log)).curves
                template = setup.curve_template(job, engine_for("emulated"))
                rounds = log.rounds(setup.key(job, template))
            plain = curves(template, setup.stream(job), rounds, settings.sweep.times(job.effort))
            measured.append({curve.workflow: curve for curve in plain})
            calibrated.append({curve.workflow: curve for curve in made})
        gpu = gpu_constants(cluster.nodes[0].gpu_type)
        engine = setup.simulated_engine(job)(StepTimer(job.llm, gpu, tp=job.tp))
        for way, found in (("measured", measured), ("calibrated", calibrated)):
            show(f"{job} {way:10s}", setup.stream(job), engine, found)


def show(title: str, stream: Stream, engine: EngineModel, found: Profiles) -> None:
    typical, runs = typical_calls(stream), recordings(engine, stream)
    top = float(np.median([total(stream, of) for of in found]))
    long = [open_loop(engine, stream, runs, u * top, LONG) for u in UTILISATIONS]
    for name in stream.runs:
        own = [[s for s in samples if s.workflow == name] for _, samples in long]
        truth = [mean_latency([samples], {name: typical[name]}).mean for samples in own]
        ratios: list[list[float]] = []
        for of in found:
            # From calls per second of the mixture to those of the workflow alone.
            scale = of[name].max_throughput / total(stream, of)
            at = [scale * rate for rate, _ in long]
            latency = np.maximum.accumulate([p.latency for p in of[name].points])
            known = 1 / np.interp(at, [p.rate for p in of[name].points], 1 / latency)
            ratios.append(list(known / truth))
        table = np.array(ratios)
        error = " ".join(f"{value - 1:+6.1%}" for value in table.mean(axis=0))
        deviation = " ".join(f"{value:6.1%}" for value in table.std(axis=0, ddof=1))
        print(f"{title} {name:12s} mean error {error}   deviation {deviation}", flush=True)


def total(stream: Stream, of: dict[str, Curve]) -> float:
    """Calls per second of the mixture at which the engine saturates."""
    return 1 / sum(part / of[name].max_throughput for name, part in stream.calls.items())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
