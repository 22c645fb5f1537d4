"""Times planning (enumeration, search and placement together) on 16 to 1,024 GPUs.

Prints a table and writes out/bench/planner.json: [{"llms": 5, "gpus": 16, "seconds": ...}, ...].
Latency curves are synthetic: a roofline-like speed-up with TP, the published slow-down at parts of
a GPU, and queueing that grows with utilisation. Load is set so that most of the cluster is needed.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible
from scepsy.place import place
from scepsy.search import Choice, Search, best_placeable, search

SIZES = ((5, 16), (8, 64), (20, 256), (20, 1024))
REPEATS = 5
OUT = Path("out/bench/planner.json")
UTILISATION = np.linspace(0.05, 0.95, 10)
BILLIONS = (0.1, 0.6, 1.5, 4.0, 8.0, 14.0, 32.0, 70.0)
BANDWIDTH = ((0.0, 0.3, 0.4, 0.5, 0.7, 1.0), (0.3, 0.73, 0.83, 0.92, 0.97, 1.0))
"""Share of the multiprocessors, and the memory bandwidth that decoding keeps with it."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the workflows ask of one LLM: whole GPUs' worth of work, calls per run over p, and the
    part of the time that is compute-bound.
    """

    gpus: float
    stretch: float
    compute_bound: float


@dataclass(frozen=True, slots=True)
class Costs:
    """Synthetic stage costs in the form that the pipeline has them."""

    loads: Mapping[str, Load]

    def __call__(
        self, llm: LlmSpec, tp: int, gpu_share: float, replicas: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        load = self.loads[llm.name]
        alone = 0.2 + llm.parameters / 8e9
        slower = load.compute_bound * (0.37 + 0.63 / gpu_share) + (
            1 - load.compute_bound
        ) / np.interp(gpu_share, *BANDWIDTH)
        call = alone * slower * (0.15 + 0.85 / tp**0.85)
        capacity = tp**0.8 / slower
        curve = call * (1 + 0.5 * UTILISATION / (1 - UTILISATION))
        utilisation = load.gpus / capacity / replicas
        latency = np.interp(utilisation, UTILISATION, curve)
        return np.where(utilisation <= UTILISATION[-1], load.stretch * latency, np.inf)


def instance(llms: int, gpus: int) -> tuple[list[LlmSpec], Cluster, Costs]:
    """Random LLMs on nodes of 8 GPUs, about half of which the load needs at full speed."""
    rng = np.random.default_rng(llms * 10_000 + gpus)
    cluster = Cluster(nodes=tuple(Node(name=f"node-{i}", gpus=8) for i in range(gpus // 8)))
    sizes = rng.choice(BILLIONS, llms)
    shares = rng.dirichlet(np.full(llms, 0.7)) * gpus * 0.5
    specs = [
        LlmSpec(
            name=f"llm-{index:02d}",
            parameters=billions * 1e9,
            layers=round(16 + 8 * np.log2(1 + billions)),
            kv_heads=8,
            head_dim=128,
        )
        for index, billions in enumerate(sizes.tolist())
    ]
    loads = {
        spec.name: Load(share, float(rng.uniform(1, 20)), float(rng.uniform(0.1, 0.6)))
        for spec, share in zip(specs, shares.tolist(), strict=True)
    }
    return specs, cluster, Costs(loads)


def plan(specs: Sequence[LlmSpec], cluster: Cluster, costs: Costs) -> tuple[Search, Choice, float]:
    """One planning run and its seconds."""
    start = perf_counter()
    found = search(specs, cluster, costs)
    if isinstance(found, Infeasible):
        raise SystemExit(f"the benchmark's instance is infeasible: {found.reason}")
    choice = best_placeable(found, lambda allocation: place(allocation, cluster))
    if isinstance(choice, Infeasible):
        raise SystemExit(f"the benchmark's instance cannot be placed: {choice.reason}")
    return found, choice, perf_counter() - start


def write_atomic(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)


def main() -> None:
    rows: list[dict[str, float]] = []
    print(" LLMs   GPUs   seconds   options/LLM (offered)   refused   gap to bound   GPUs used")
    for llms, gpus in SIZES:
        runs = [plan(*instance(llms, gpus)) for _ in range(REPEATS)]
        found, choice, _ = runs[0]
        seconds = min(run[2] for run in runs)
        options = np.mean([len(each) for each in found.space.options])
        offered = np.mean(found.space.offered)
        gap = choice.candidate.objective / choice.bound - 1
        note = "optimal" if choice.proven else f"{gap:.3%}"
        print(
            f"{llms:5d} {gpus:6d} {seconds:9.3f} {options:13.0f} ({offered:.0f})"
            f" {len(choice.skipped):13d} {note:>14} {choice.candidate.allocation.gpus:11.1f}"
        )
        rows.append({"llms": llms, "gpus": gpus, "seconds": round(seconds, 4)})
    write_atomic(OUT, json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
