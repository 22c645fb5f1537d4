"""Which replay predicts better: whole runs whose bursts wait for one another, or single bursts?

    scepsy demo --out out/demo && python experiments/replay_modes.py out/demo

Deploys the demo's plan, drives both programs at several loads, and profiles the generator both
ways, all in one go; then puts the two predictions beside what was measured. About seven minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec

from scepsy.core.plan import Plan
from scepsy.core.profile import Profile
from scepsy.core.trace import Trace
from scepsy.demo.settings import settings_for
from scepsy.engines import EngineOptions
from scepsy.predict import Pipeline, responses
from scepsy.profiler import Bench, Journal, jobs, profile
from scepsy.profiler.rounds import Replay
from scepsy.store import read_plan, read_profile, read_traces

LOADS = (1.0, 1.6, 2.2)
SECONDS = 60.0
LLM = "generator"


def main(out: Path) -> None:
    traces = read_traces(out / "traces").traces
    plan, measured = read_plan(out / "plan.json"), read_profile(out / "profile.json")
    with tempfile.TemporaryDirectory(prefix="scepsy-replay-") as folder:
        driven = drive(out / "plan.json", Path(folder))
        for replay in ("bursts", "runs"):
            curves = asyncio.run(generator(traces, plan, replay, Path(folder)))
            others = [curve for curve in measured.curves if curve.llm != LLM]
            pipeline = Pipeline(plan.demands, plan.targets, responses((*others, *curves.curves)))
            for load, results in driven.items():
                report(replay, load, results, pipeline, plan)


def report(
    replay: str, load: float, results: dict[str, float], pipeline: Pipeline, plan: Plan
) -> None:
    targets = tuple(
        msgspec.structs.replace(target, rate=target.rate * load) for target in plan.targets
    )
    predicted = replace(pipeline, targets=targets).predict(plan.allocation)
    for flow in predicted.workflows:
        found = results[flow.workflow]
        print(
            f"{replay:6} load {load:.1f} ({LLM} {predicted.utilisation[LLM]:.0%}) "
            f"{flow.workflow:12} predicted {flow.latency_mean:.2f} s measured {found:.2f} s "
            f"error {flow.latency_mean / found - 1:+.1%}",
            flush=True,
        )


async def generator(traces: tuple[Trace, ...], plan: Plan, replay: Replay, folder: Path) -> Profile:
    demo = settings_for("emulated", Path(), folder, 0)
    size = next(part for part in plan.allocation.llms if part.llm == LLM)
    todo = [
        replace(job, time_share=0.5)
        for job in jobs(traces, plan.llms, plan.cluster)
        if job.llm.name == LLM and job.tp == size.tp
    ]
    bench = Bench(
        traces,
        plan.cluster,
        replace(demo.sweep, budget=90.0, replay=replay),
        EngineOptions(exit_with_parent=True),
        folder / "logs",
        lambda job, what, left: None,
        {target.workflow: target.rate for target in plan.targets},
    )
    with Journal(folder / f"{replay}.jsonl") as journal:
        found = await profile(todo, bench, journal)
    for curve in found.curves:
        points = " ".join(
            f"{p.rate / curve.max_throughput:.2f}:{p.latency:.3f}±{p.noise:.3f}"
            for p in curve.points
        )
        print(f"{replay:6} {curve.workflow} {curve.max_throughput:.3g}/s  {points}", flush=True)
    return found


def drive(plan: Path, folder: Path) -> dict[float, dict[str, float]]:
    """Mean latency by workflow, at each load."""
    demo = settings_for("emulated", Path(), folder, 0)
    state = ("--state", str(folder / "state"))
    up = json.loads(scepsy("deploy", str(plan), "--on", "local", *state, "--json"))
    url = up["gateway"]["url"]
    os.environ["RAG_INDEX"] = str(folder / "index")
    try:
        for program in demo.programs:
            if program.prepare:
                env = {**os.environ, "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "none"}
                subprocess.run(
                    [sys.executable, str(program.script), *program.prepare], env=env, check=True
                )
        return {load: drive_once(url, load) for load in LOADS}
    finally:
        scepsy("down", *state)


def drive_once(url: str, load: float) -> dict[str, float]:
    demo = settings_for("emulated", Path(), Path(), 0)
    arguments = [program.function for program in demo.programs]
    for program in demo.programs:
        with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as inputs:
            inputs.writelines(program.inputs.open(encoding="utf-8").readlines()[:14])
        arguments += ["--rate", str(program.rate * load), "--inputs", inputs.name]
    told = scepsy(
        "drive", *arguments, "--gateway", url, "--duration", str(SECONDS), "--warmup", "8", "--json"
    )
    return {one["workflow"]: one["latency_mean"] for one in json.loads(told)["workflows"]}


def scepsy(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "scepsy", *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]))
