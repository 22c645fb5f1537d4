"""Profiles two real engines with one workflow, serves another, and compares with the prediction.

    python -m experiments.transfer.run --engine vllm --out out/transfer

Deploys one replica of each LLM on a core of its own; traces both workflows; replays the calls of
`best_of_three` alone; makes of that profile's step times one for `revise`; plans `revise` at three
parts of the rate at which it is predicted to saturate, and drives each plan. Writes
`transfer.json`: rows `{load, rate, latency_predicted, latency_low, latency_high, latency_observed,
latency_error, throughput, throughput_error}`, the plan's 90% interval beside its prediction, errors
relative to what was observed, latency's with the standard error of the observation beside it;
`distributions`, what the simulator makes of each load (`distributions.py`); and prints both as
tables. With `--docs` they replace those in `docs/evaluation/transfer.*`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from experiments.transfer import distributions, report
from experiments.transfer.report import Row

from scepsy.core.cluster import Cluster
from scepsy.core.plan import Target
from scepsy.demo.manual_plans import even_split
from scepsy.engines import engine_for
from scepsy.engines.llamacpp.tiny import write_tiny_llm
from scepsy.engines.tiny.folder import write_tiny_folder
from scepsy.store import (
    read_cluster,
    read_llms,
    read_plan,
    read_profile,
    read_traces,
    write_record,
)

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
QUESTIONS = [ROOT / "examples" / "data" / name for name in ("problems.txt", "questions.txt")]
PROFILED, SERVED = "best_of_three", "revise"
LLMS = ("generator", "verifier")
LOADS = (0.25, 0.5, 0.7)
TRACING_RATE = 0.25
"""Runs per second: few are open at once, as in tracing by hand."""

WARMUP = 5.0


def questions() -> Iterator[str]:
    """Each once: what is asked again is in the engine's prefix cache, answer and all."""
    for path in QUESTIONS:
        yield from path.read_text().splitlines()


@dataclass(frozen=True, slots=True)
class Experiment:
    """Which engine, where the files are, and how long to measure: seconds driven at each rate,
    seconds to profile an engine (`budget`), runs traced of each workflow, and the rates as parts of
    the rate of saturation (`loads`).
    """

    engine: str
    out: Path
    seconds: float
    budget: float
    runs: int
    loads: Sequence[float] = LOADS
    questions: Iterator[str] = field(default_factory=questions)

    def path(self, name: str) -> Path:
        return self.out / name

    def scepsy(self, *arguments: object) -> Any:
        """What a command says as JSON."""
        command = [sys.executable, "-m", "scepsy", *map(str, arguments), "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT)
        return json.loads(done.stdout)

    def drive(self, workflows: Sequence[str], rate: float, seconds: float, gateway: str) -> Any:
        """What was measured of the first of the workflows, each at that rate."""
        inputs = self.path("questions.txt")
        count = math.ceil(1.2 * rate * (seconds + WARMUP)) + 5
        inputs.write_text("\n".join(islice(self.questions, count)))
        driven = self.scepsy(
            *("drive", *(f"{HERE / workflow}.py:run" for workflow in workflows)),
            *(text for _ in workflows for text in ("--rate", rate, "--inputs", inputs)),
            *("--duration", seconds, "--warmup", WARMUP, "--gateway", gateway),
        )
        return driven["workflows"][0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="vllm", choices=("emulated", "llamacpp", "vllm"))
    parser.add_argument("--out", type=Path, default=Path("out/transfer"))
    parser.add_argument("--seconds", type=float, default=60.0, help="driven at each rate")
    parser.add_argument("--budget", type=float, default=70.0, help="seconds to profile an engine")
    parser.add_argument("--runs", type=int, default=16, help="traced, of each workflow")
    parser.add_argument(
        "--loads", type=float, nargs="+", default=LOADS, help="parts of the rate of saturation"
    )
    parser.add_argument("--docs", action="store_true", help="write into docs/evaluation, too")
    options = vars(parser.parse_args())
    docs = options.pop("docs")
    experiment = Experiment(**options)
    rows, simulated = compare(experiment)
    found = {"engine": version(experiment.engine), "machine": machine(), "rows": rows}
    found["distributions"] = simulated
    text = f"{report.table(rows)}\n{distributions.table(simulated)}"
    report.write(experiment.out, found, text if docs else None)
    sys.stdout.write(text)


def compare(experiment: Experiment) -> tuple[list[Row], list[distributions.Row]]:
    """A row per load, and those of the simulator. Whatever happens, no engine is left."""
    experiment.out.mkdir(parents=True, exist_ok=True)
    cluster = describe(experiment)
    state = ("--state", experiment.path("state"))
    up = experiment.scepsy(
        *("deploy", experiment.path("first.json"), "--on", "local", *state),
        *("--traces", experiment.path("traces")),
    )
    try:
        gateway = up["url"]
        traced = experiment.runs / TRACING_RATE
        experiment.drive((PROFILED, SERVED), TRACING_RATE, traced, gateway)
        # The gateway goes on recording; a prediction must not know what it is compared with.
        shutil.copytree(experiment.path("traces"), experiment.path("traced"), dirs_exist_ok=True)
        profile(experiment, cluster)
        most = predict(experiment, 1e-3)["throughput"]
        found = [measure(experiment, load, load * most, gateway) for load in experiment.loads]
        return [row for row, _ in found], [row for _, rows in found for row in rows]
    finally:
        experiment.scepsy("down", *state)


def describe(experiment: Experiment) -> Cluster:
    """The files that a user would write: two LLMs, and two cores (or emulated GPUs) for them."""
    gpu_type = "h100" if experiment.engine == "emulated" else "cpu"
    experiment.path("cluster.toml").write_text(
        f'gpu_memory = 4e9\n[[nodes]]\nname = "here"\ngpus = 2\ngpu_type = "{gpu_type}"\n'
    )
    entries = [entry(experiment, name) for name in LLMS]
    experiment.path("llms.toml").write_text("".join(entries))
    cluster = read_cluster(experiment.path("cluster.toml"))
    llms = read_llms(experiment.path("llms.toml"))
    first = even_split(llms, cluster, [Target(workflow=SERVED, rate=TRACING_RATE)])
    write_record(experiment.path("first.json"), first)
    return cluster


def entry(experiment: Experiment, name: str) -> str:
    """One LLM of the LLM file: 3 million random parameters, or, emulated, the numbers of 1.5
    billion.
    """
    path = experiment.path(f"model-{name}")
    size = "parameters = 3.3e6\nlayers = 4\nhidden = 256\nkv_heads = 2\nhead_dim = 64\n"
    match experiment.engine:
        case "vllm":
            write_tiny_folder(path, kind="generate", size="tiny", weights=True, seed=0)
        case "llamacpp":
            write_tiny_llm(path)
        case _:
            size = "parameters = 1.2e9\nlayers = 28\nhidden = 1536\nkv_heads = 2\nhead_dim = 128\n"
    return (
        f'[[llms]]\nname = "{name}"\nengine = "{experiment.engine}"\nmodel_path = "{path}"\n'
        f"{size}max_context = 2048\nmax_sequences = 16\nmax_tp = 1\n"
    )


def profile(experiment: Experiment, cluster: Cluster) -> None:
    """Measures with one workflow's calls, and reckons what the step times make of the other's."""
    common = ("--cluster", experiment.path("cluster.toml"), "--llms", experiment.path("llms.toml"))
    experiment.scepsy(
        *("profile", experiment.path("traced"), *common, "--shares", 1),
        *("--workflow", PROFILED, "--budget", experiment.budget, "--max-rate", 60),
        *("--parallel", cluster.gpus, "--out", experiment.path("profile.json")),
    )
    experiment.scepsy(
        *("estimate", experiment.path("traced"), *common, "--shares", 1, "--workflow", SERVED),
        *("--steps", experiment.path("profile.json"), "--out", experiment.path("estimate.json")),
    )


def predict(experiment: Experiment, rate: float) -> Any:
    """What the plan for so many runs per second promises."""
    plan = experiment.scepsy(
        *("plan", "--traces", experiment.path("traced"), "--target", f"{SERVED}={rate}"),
        *("--profile", experiment.path("estimate.json")),
        *("--cluster", experiment.path("cluster.toml"), "--llms", experiment.path("llms.toml")),
        *("--out", experiment.path("plan.json")),
    )
    return plan["prediction"]["workflows"][0]


def measure(
    experiment: Experiment, load: float, rate: float, gateway: str
) -> tuple[Row, list[distributions.Row]]:
    predicted = predict(experiment, rate)
    mean = predicted["latency_mean"]
    begin = time.time()
    seen = experiment.drive((SERVED,), rate, experiment.seconds, gateway)
    driven = distributions.driven_between(experiment.path("traces"), SERVED, begin, time.time())
    traced = read_traces(experiment.path("traced"), SERVED).traces
    plan = read_plan(experiment.path("plan.json"))
    profile = read_profile(experiment.path("profile.json"))
    simulated = distributions.rows_of(load, plan, profile, traced, driven)
    row = {
        "load": load,
        "rate": seen["offered_rate"],
        "latency_predicted": mean,
        "latency_low": predicted["latency_low"],
        "latency_high": predicted["latency_high"],
        "latency_observed": seen["latency_mean"],
        "standard_error": seen["standard_error"],
        "latency_error": mean / seen["latency_mean"] - 1,
        "throughput": seen["throughput"],
        "throughput_error": seen["offered_rate"] / seen["throughput"] - 1,
        "runs": seen["completed"],
        "failed": seen["failed"],
    }
    return row, simulated


def version(engine: str) -> str:
    return f"{engine} {engine_for(engine).version()}"  # pyright: ignore[reportArgumentType]


def machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"


if __name__ == "__main__":
    main()
