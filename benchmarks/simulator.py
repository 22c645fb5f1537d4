"""How many calls and tokens the simulator passes through a cluster per wall second, on one core.

Prints a table and writes out/bench/simulator.json, rows {case, calls_per_second,
tokens_per_second, peer, peer_calls_per_second}. With --peer, the same load runs in Dynamo's replay
(Rust), which is installed into out/peer for that (619 MB), right after ours; else its fields are
null. It is given our own step times, as far as its format can hold them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from time import perf_counter, process_time

import numpy as np

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import (
    Allocation,
    Explanation,
    Infeasible,
    Placement,
    Plan,
    Prediction,
    Replica,
    Slice,
)
from scepsy.hardware.memory import BLOCK_TOKENS, kv_capacity
from scepsy.hardware.step_time import StepLoad
from scepsy.sim.cluster.deployment import deployment, roofline
from scepsy.sim.cluster.simulation import Ask, Simulation
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.sim.workload.program import Program, Steps
from scepsy.store import write_atomic

PROMPT, OUTPUT = 2048, 256
RATE = 5.0
"""Calls per second and replica: some 14 at once in each."""
REPEATS = 3
PEER = "ai-dynamo==1.4.2"
ENVIRONMENT = Path("out/peer")
OUT = Path("out/bench/simulator.json")
LLM = LlmSpec(
    name="llama-8b",
    parameters=8.03e9,
    layers=32,
    hidden=4096,
    kv_heads=8,
    head_dim=128,
    max_sequences=256,
)


@dataclass(frozen=True, slots=True)
class Case:
    """`sharing` engines on each GPU; a run is one call, or with `fan_out`, several rounds of
    calls that share a prompt.
    """

    name: str
    replicas: int
    calls: int
    sharing: int = 1
    fan_out: bool = False


CASES = (
    Case("1 replica of an 8B", 1, 5_000),
    Case("8 replicas of an 8B", 8, 20_000),
    Case("64 replicas of an 8B", 64, 50_000),
    Case("1,000 replicas of an 8B", 1_000, 50_000),
    Case("8 replicas of an 8B, two on each GPU", 8, 10_000, sharing=2),
    Case("8 replicas of an 8B, beam search with shared prefixes", 8, 10_000, fan_out=True),
)


def plan(case: Case) -> Plan:
    gpus = case.replicas // case.sharing
    share = 1 / case.sharing
    replicas = tuple(
        Replica(
            replica=f"{LLM.name}-{i}",
            llm=LLM.name,
            tp=1,
            slices=(Slice(node="n", gpu=i % gpus, gpu_share=share, memory_share=share),),
        )
        for i in range(case.replicas)
    )
    return Plan(
        cluster=Cluster(nodes=(Node(name="n", gpus=gpus),)),
        llms=(LLM,),
        targets=(),
        demands=(),
        allocation=Allocation(llms=()),
        placement=Placement(replicas=replicas),
        prediction=Prediction(objective=0.0, workflows=(), utilisation={}),
        explanation=Explanation(summary=()),
    )


def one_call(_: random.Random) -> Steps:
    yield Ask(LLM.name, PROMPT, OUTPUT)


def beam_search(rng: random.Random) -> Steps:
    """Five rounds of four calls, each with the prompt of the last round and 256 tokens more."""
    salt = rng.getrandbits(48) << 16
    for depth in range(1, 6):
        blocks = tuple(salt + block for block in range(depth * 16))
        yield [Ask(LLM.name, depth * 256, 128, blocks) for _ in range(4)]


def ours(case: Case) -> tuple[float, float, Simulation]:
    """Wall and CPU seconds of the fastest of a few runs, and what it did."""
    found: list[tuple[float, float, Simulation]] = []
    steps, width = (beam_search, 20) if case.fan_out else (one_call, 1)
    rate = RATE * case.replicas / case.sharing / width
    times = arrivals(rate, case.calls // width, random.Random(0))
    for _ in range(REPEATS):
        simulation = deployment(plan(case))
        if isinstance(simulation, Infeasible):
            raise SystemExit(f"the benchmark's plan is impossible: {simulation.reason}")
        wall, cpu = perf_counter(), process_time()
        simulate(simulation, [OpenLoopLoad(Program("w", steps), times)])
        found.append((perf_counter() - wall, process_time() - cpu, simulation))
    return min(found, key=lambda one: one[0])


def peer(case: Case, profile: Path) -> float | None:
    """Wall seconds of the same load in the peer; None where it cannot express it."""
    if case.fan_out or case.sharing > 1:
        return None
    capacity = kv_capacity(LLM, tp=1, memory_share=1.0, gpu_memory=80e9)
    asked = {
        "blocks": capacity // BLOCK_TOKENS,
        "max_sequences": LLM.max_sequences,
        "step_tokens": 2048,
        "profile": str(profile),
        "prompt_tokens": PROMPT,
        "output_tokens": OUTPUT,
        "calls": case.calls,
        "replicas": case.replicas,
        "rate": RATE * case.replicas,
        "router": "round_robin",
    }
    script = Path(__file__).parent / "peers" / "dynamo_replay.py"
    done = subprocess.run(
        [ENVIRONMENT / "bin" / "python", script, json.dumps(asked)],
        env={**os.environ, "DYN_LOG": "error"},
        check=True,
        capture_output=True,
        text=True,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    print(f"{'':56s} peer: {answer['seconds']:6.2f} s, mean latency {answer['latency']:.2f} s")
    return answer["seconds"]


def install_peer() -> Path:
    """Makes the peer's environment where it is not there, and its table of our step times."""
    if not (ENVIRONMENT / "installed").exists():
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        pip = [ENVIRONMENT / "bin" / "python", "-m", "pip", "install", "--quiet", PEER]
        subprocess.run(pip, check=True)
        (ENVIRONMENT / "installed").touch()
    timer = roofline(LLM, "h100", 1, 1.0)
    prompts = np.array([128, 256, 512, 1024, 2048, 4096])
    held = np.array([256, 1024, 4096, 16384, 65536, 131072, 262144, 425000])
    contexts = np.array([256, 1024, 2048, 2304, 4096])
    profile = ENVIRONMENT / "steps.npz"
    np.savez(
        profile,
        prefill_isl=prompts.astype(float),
        prefill_ttft_ms=np.array([timer.seconds(StepLoad(n, n * n / 2)) * 1e3 for n in prompts]),
        decode_active_kv_tokens=held.astype(float),
        decode_context_length=contexts.astype(float),
        decode_itl=np.array(
            [
                [
                    timer.seconds(StepLoad(decodes=max(1, kv // c), decode_kv=kv)) * 1e3
                    for c in contexts
                ]
                for kv in held
            ]
        ),
    )
    return profile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", action="store_true", help=f"install {PEER} and run it beside")
    profile = install_peer() if parser.parse_args().peer else None
    rows: list[dict[str, object]] = []
    print(f"{'case':54s} calls/s (CPU)   tokens/s   mean latency")
    for case in CASES:
        wall, cpu, simulation = ours(case)
        asks = [call.ask for call in simulation.calls]
        tokens = sum(ask.prompt_tokens + ask.output_tokens for ask in asks)
        latency = fmean(call.latency for call in simulation.calls)
        print(
            f"{case.name:54s} {len(asks) / wall:7,.0f} ({len(asks) / cpu:,.0f})"
            f" {tokens / wall:12,.0f} {latency:8.2f} s"
        )
        other = peer(case, profile) if profile is not None else None
        rows.append(
            {
                "case": case.name,
                "calls_per_second": round(len(asks) / wall),
                "tokens_per_second": round(tokens / wall),
                "peer": None if other is None else PEER,
                "peer_calls_per_second": None if other is None else round(case.calls / other),
            }
        )
    write_atomic(OUT, (json.dumps(rows, indent=2) + "\n").encode())


if __name__ == "__main__":
    sys.exit(main())
