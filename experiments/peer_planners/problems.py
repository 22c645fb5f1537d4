"""The same problems for several planners: LLaMA of four sizes on A100, for which MuxServe ships its
measurements; and what our planner and our implementations of the peers' policies make of them.

    .venv/bin/python experiments/peer_planners/problems.py [--out DIR]

Writes problems.json for the scripts beside this one, and ours.json, rows `{planner, llms, gpus,
first, seconds, allocation}`: CPU seconds of the first call and of the second in one process.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "experiments"))

import numpy as np  # noqa: E402
from evaluation.tables import described  # noqa: E402
from evaluation.tracing import cluster, traced  # noqa: E402

from scepsy.core.llm import LlmSpec  # noqa: E402
from scepsy.core.plan import Infeasible, Placement, Target  # noqa: E402
from scepsy.curves.jobs import jobs  # noqa: E402
from scepsy.estimate.curves import estimate  # noqa: E402
from scepsy.estimate.step_times.steps import Steps as StepSource  # noqa: E402
from scepsy.hardware.architectures import shape_of  # noqa: E402
from scepsy.peers.alpaserve import alpaserve  # noqa: E402
from scepsy.peers.muxserve import muxserve  # noqa: E402
from scepsy.peers.sizing import load, tp_degrees  # noqa: E402
from scepsy.planning.planner import allocate_with_contention  # noqa: E402
from scepsy.planning.problem import Problem  # noqa: E402
from scepsy.predict import Pipeline, responses  # noqa: E402
from scepsy.sim.cluster.simulation import Ask  # noqa: E402
from scepsy.sim.workload.program import Program, Steps  # noqa: E402
from scepsy.traces.summarize import summarize  # noqa: E402

GPU = "a100"
PROMPT, OUTPUT = 161, 337
"""Tokens: fixed in MuxServe's planner."""
USED = 0.5
"""Of the GPUs, roughly, by the load."""
SIZES: dict[str, tuple[int, int, int, int]] = {
    "7b": (4096, 11008, 32, 32),
    "13b": (5120, 13824, 40, 40),
    "30b": (6656, 17920, 60, 52),
    "65b": (8192, 22016, 80, 64),
}
"""Hidden and intermediate width, layers, heads: LLaMA 1's."""
CASES = (
    (("7b", "7b", "13b", "30b"), (8, 16)),
    (("7b", "7b", "13b", "30b") * 2 + ("65b",), (16, 32)),
)
"""LLMs and GPUs."""


def config(size: str) -> dict[str, Any]:
    """As in the model's config.json."""
    hidden, intermediate, layers, heads = SIZES[size]
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "vocab_size": 32000,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
    }


def problem(sizes: tuple[str, ...], gpus: int) -> Problem:
    """A workflow that calls each LLM once, at a rate that takes about half of the GPUs."""
    llms = tuple(
        LlmSpec(name=f"{size}-{index}", **shape_of(config(size)))
        for index, size in enumerate(sizes)
    )

    def steps(_: Random) -> Steps:
        for llm in llms:
            yield Ask(llm.name, PROMPT, OUTPUT)

    known = traced(Program("w", steps), 3, llms, GPU)
    machines = cluster(gpus, GPU)
    curves = []
    for job in jobs(known, llms, machines):
        found = estimate(job, known, machines, [StepSource(GPU, "modelled")])
        curves += [] if isinstance(found, str) else found
    one = Problem(
        Pipeline(summarize(known), (Target(workflow="w", rate=1.0),), responses(curves)),
        llms=llms,
        cluster=machines,
        share_step=0.1,
    )
    taken = sum(
        (tp := tp_degrees(llm, machines)[0]) * load(one, llm, tp) for llm in one.needed_llms
    )
    return one.scaled(USED * gpus / taken)


def told(one: Problem, sizes: tuple[str, ...]) -> dict[str, Any]:
    """The problem for the other scripts. Seconds of a call by TP degree: alone on an idle engine,
    and its part of a saturated one.
    """
    rate = one.targets[0].rate
    llms = []
    for llm, size in zip(one.llms, sizes, strict=True):
        whole = one.responses[llm.name, "w"].whole
        llms.append(
            {
                "name": llm.name,
                "size": size,
                "config": config(size),
                "rate": rate,
                "weights": llm.weight_bytes,
                "idle": {tp: float(of.latency_at(np.zeros(1))[0]) for tp, of in whole.items()},
                "saturated": {tp: 1.0 / of.max_throughput for tp, of in whole.items()},
            }
        )
    return {"gpus": one.cluster.gpus, "gpu_type": GPU, "llms": llms}


def searched(one: Problem) -> Placement | Infeasible:
    """Our search and placement, without a simulation of the best few plans."""
    chosen = allocate_with_contention(one).outcome
    return chosen if isinstance(chosen, Infeasible) else chosen.placement


def timed(work: Callable[[], Placement | Infeasible]) -> tuple[float, Placement | Infeasible]:
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "peer_planners")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    problems: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    planners = {
        "Scepsy": searched,
        "MuxServe, our implementation": muxserve,
        "AlpaServe, our implementation": alpaserve,
    }
    for sizes, clusters in CASES:
        for gpus in clusters:
            one = problem(sizes, gpus)
            problems.append(told(one, sizes))
            for name, planner in planners.items():
                (first, _), (again, found) = [timed(lambda: planner(one)) for _ in range(2)]  # noqa: B023
                text = found.reason if isinstance(found, Infeasible) else described(found.replicas)
                rows.append(
                    {
                        "planner": name,
                        "llms": len(sizes),
                        "gpus": gpus,
                        "first": first,
                        "seconds": again,
                        "allocation": text,
                    }
                )
                print(rows[-1], flush=True)
    (out / "problems.json").write_text(json.dumps(problems, indent=1) + "\n")
    (out / "ours.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
