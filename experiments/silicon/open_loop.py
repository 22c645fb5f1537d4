"""Our simulator against logs of real vLLM engines under an open loop, call by call.

    out/venv-aic/bin/python -m experiments.silicon.open_loop

300 ShareGPT calls at 10 per second on vLLM 0.19 (`max_num_batched_tokens` 2,048), each with its
times: `experiments/data/open_loop.csv`, from LLMServingSim (see `experiments/data/README.md`).
Prints the table of `docs/evaluation/silicon.md` and writes `open_loop.json` beside it.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

from experiments.distributions import compare
from experiments.silicon.timers import OracleTimer

from scepsy.core.llm import LlmSpec
from scepsy.estimate.step_times.oracle import Oracle
from scepsy.hardware.architectures import shape_called
from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.host_time import host_time
from scepsy.hardware.memory import kv_capacity
from scepsy.hardware.step_time import StepLoad, StepTimer, Timer
from scepsy.sim.cluster.event_queue import EventQueue
from scepsy.sim.cluster.replica import SimulatedReplica
from scepsy.sim.cluster.simulation import Ask, LlmReplicas, ServedCall, Simulation
from scepsy.sim.engine.continuous_batching import SimulatedEngine
from scepsy.store.files import write_atomic

LOG = Path(__file__).parents[1] / "data" / "open_loop.csv"
OUT = Path(__file__).parents[2] / "docs" / "evaluation" / "open_loop.json"
CALIBRATING, ROUNDS = 60, 5
"""The first calls, and how often they are simulated to find one constant."""
MEMORY = 102.6e9
"""Bytes of an RTX PRO 6000."""


@dataclass(frozen=True)
class Run:
    """What ran; `kv_tokens` where the log says how many blocks there were."""

    name: str
    llm: str
    tp: int
    seats: int
    kv_tokens: int | None = None


RUNS = (
    Run("rtx-pro-6000-llama-3.1-8b", "llama-3.1-8b", 1, 128),
    Run("rtx-pro-6000-qwen3-32b-tp2", "qwen3-32b", 2, 128),
    Run("rtx-4090-llama-3.1-8b", "llama-3.1-8b", 1, 256, kv_tokens=2588 * 16),
)


@dataclass(frozen=True)
class Logged:
    """Seconds since the first arrival."""

    arrival: float
    prompt_tokens: int
    output_tokens: int
    first_token: float
    end: float


@dataclass(frozen=True, slots=True)
class Later:
    """A timer's steps `scale` times as long, with a host's work in each."""

    timer: Timer
    host: float = 0.0
    scale: float = 1.0

    @property
    def per_kv_token(self) -> float:
        return self.scale * self.timer.per_kv_token

    def cost(self, load: StepLoad) -> tuple[float, float]:
        seconds, memory = self.timer.cost(load)
        return self.scale * seconds + self.host, memory


def main() -> None:
    calls: dict[str, list[Logged]] = {}
    with LOG.open() as file:
        for row in csv.reader(file):
            if row[0] != "run":
                times = float(row[1]), int(row[2]), int(row[3]), float(row[4]), float(row[5])
                calls.setdefault(row[0], []).append(Logged(*times))
    adds = host_time("vllm")
    rows: list[dict[str, Any]] = []
    for run in RUNS:
        logged = calls[run.name]
        timer = timer_of(run)
        if timer is None:
            continue
        for how, host, request in (("untuned", 0.0, 0.0), ("estimate", adds.step, adds.request)):
            served = serve(run, logged, Later(timer, host))
            rows += compared(run, how, request, logged, served)
        scale = calibrate(run, logged, timer)
        served = serve(run, logged, Later(timer, scale=scale))
        how = f"steps x{scale:.2f}"
        rows += compared(run, how, 0.0, logged[CALIBRATING:], served[CALIBRATING:])
    write_atomic(OUT, json.dumps({"rows": rows}, indent=1).encode() + b"\n")
    print(table(rows))


def calibrate(run: Run, logged: Sequence[Logged], timer: Timer) -> float:
    """How much longer steps are, from the measured TPOT of the first calls alone."""
    theirs = fmean(tpots(logged[:CALIBRATING]))
    scale = 1.0
    for _ in range(ROUNDS):
        served = serve(run, logged, Later(timer, scale=scale))[:CALIBRATING]
        scale *= theirs / fmean(tpots_served(served))
    return scale


def tpots(logged: Sequence[Logged]) -> list[float]:
    return [(c.end - c.first_token) / max(1, c.output_tokens - 1) for c in logged]


def tpots_served(served: Sequence[ServedCall]) -> list[float]:
    return [(c.end - c.first_token) / max(1, c.ask.output_tokens - 1) for c in served]


def timer_of(run: Run) -> Timer | None:
    """The oracle's for the RTX PRO 6000. It has none for the RTX 4090: the roofline of the L40S,
    the same chip, with the 4090's published bandwidth and half-rate bf16 products.
    """
    llm = spec_of(run)
    if "4090" in run.name:
        peaks = dataclasses.replace(gpu_constants("l40s"), flops=165.2e12, bandwidth=1008e9)
        return StepTimer(llm, peaks, tp=run.tp, host_overhead=0.0)
    if find_spec("aiconfigurator_core") is None:
        return None
    ask = Oracle.of(run.llm, "l40s", run.tp, more={"system_name": "rtx_pro_6000_server"}).seconds
    slope = (ask(0, 0, 0, 64, 64 * 4096) - ask(0, 0, 0, 64, 64 * 1024)) / (64 * 3072)
    return OracleTimer(ask, max(0.0, slope))


def spec_of(run: Run) -> LlmSpec:
    return LlmSpec(name=run.llm, **shape_called(run.llm))


def serve(run: Run, calls: Sequence[Logged], timer: Timer) -> list[ServedCall]:
    """The logged calls at their arrival times, in that order."""
    kv = run.kv_tokens or kv_capacity(spec_of(run), tp=run.tp, memory_share=0.9, gpu_memory=MEMORY)
    events = EventQueue()
    engine = SimulatedEngine(timer, kv_tokens=kv, max_sequences=run.seats, step_tokens=2048)
    group = LlmReplicas([SimulatedReplica("only", engine, events)], kv)
    simulation = Simulation(events, {run.llm: group})
    number = simulation.begin_run("log")

    def ended(_call: ServedCall) -> None: ...

    for call in calls:
        ask = Ask(run.llm, call.prompt_tokens, call.output_tokens)
        events.at(call.arrival, partial(simulation.call, number, then=ended), ask)
    events.run()
    return simulation.calls


def compared(
    run: Run, how: str, request: float, logged: Sequence[Logged], served: Sequence[ServedCall]
) -> list[dict[str, Any]]:
    """A row per quantity: both distributions, and the error call by call."""
    found: dict[str, tuple[list[float], list[float]]] = {
        "whole": (
            [call.latency + request for call in served],
            [call.end - call.arrival for call in logged],
        ),
        "ttft": (
            [call.first_token - call.start + request for call in served],
            [call.first_token - call.arrival for call in logged],
        ),
        "tpot": (
            tpots_served(served),
            tpots(logged),
        ),
    }
    return [
        {
            "run": run.name,
            "overheads": how,
            "what": what,
            **{name: round(value, 4) for name, value in compare(ours, theirs).items()},
            "per_call": round(
                fmean(abs(a / b - 1) for a, b in zip(ours, theirs, strict=True) if b > 0), 4
            ),
        }
        for what, (ours, theirs) in found.items()
    ]


def table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| run | steps add | | mean: measured | simulated | error | p50 | p90 | p99 | KS "
        "| call by call |",
        "|-" * 11 + "|",
    ]
    for row in rows:
        unit, factor = ("ms", 1e3) if row["what"] == "tpot" else ("s", 1.0)
        errors = " | ".join(f"{row[f'{at}_error']:+.1%}" for at in ("mean", "p50", "p90", "p99"))
        lines.append(
            f"| {row['run']} | {row['overheads']} | {row['what']} "
            f"| {row['mean_observed'] * factor:.1f} {unit} "
            f"| {row['mean_predicted'] * factor:.1f} {unit} "
            f"| {errors} | {row['ks']:.2f} | {row['per_call']:.1%} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
