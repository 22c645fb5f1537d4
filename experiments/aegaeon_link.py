"""Aegaeon's pool against our plans, with the artifact's link between host and GPU and a faster one.

    .venv/bin/python experiments/aegaeon_link.py [--out DIR]

Writes aegaeon_link.json, rows `{case, gpus, part, system, latency_mean, throughput, rate, pool}`,
and aegaeon_link.md. H100; 16 GB/s is the artifact's simulator, 55 GB/s about what PCIe 5 gives.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from evaluation.deployed import described
from evaluation.measure import Offered, measured
from evaluation.pooled import best_pool
from evaluation.problems import Spot, highest, problem
from evaluation.systems import ours

from scepsy.core.plan import Infeasible
from scepsy.peers.aegaeon.weights import HOST_LINK_RATE

ROOT = Path(__file__).parent.parent
FAST = 55e9
GPUS, PARTS = 8, (0.02, 0.1)
SECONDS = {"beam_search": 60.0, "rag": 120.0}


@dataclass(frozen=True, slots=True)
class Row:
    case: str
    gpus: int
    part: float
    system: str
    latency_mean: float
    throughput: float
    rate: float
    pool: str


def rows_of(case: str) -> Iterator[Row]:
    spot = Spot(case, "h100", GPUS)
    base, most = problem(spot), highest(spot)
    for part in PARTS:
        one = base.scaled(part * most)
        systems = {
            "Scepsy": ours(one),
            "Aegaeon, 16 GB/s": best_pool(one, HOST_LINK_RATE),
            "Aegaeon, 55 GB/s": best_pool(one, FAST),
        }
        for name, deployed in systems.items():
            if isinstance(deployed, Infeasible):
                continue
            offered = Offered(max(SECONDS[case], 60 / one.targets[0].rate))
            result = measured(base, part * most, deployed, None, offered).workflows[case]
            latency, rate = result.latency.mean, result.offered_rate
            pool = described(deployed)
            yield Row(case, GPUS, part, name, latency, result.throughput, rate, pool)


def report(rows: list[Row]) -> str:
    names = list(dict.fromkeys(row.system for row in rows))
    lines = [f"| case | rate | {' | '.join(names)} |", "|---" * (2 + len(names)) + "|"]
    for key, own in groupby(rows, key=lambda row: (row.case, row.part)):
        cells = {row.system: row for row in own}
        told = " | ".join(_cell(cells[name]) if name in cells else "-" for name in names)
        lines.append(f"| {key[0]} | {key[1]:.0%} | {told} |")
    return "\n".join(lines) + "\n"


def _cell(row: Row) -> str:
    carried = row.throughput / row.rate
    text = f"{row.latency_mean:.3g} s ({row.pool})"
    return text if carried >= 0.95 else f"{text} *carries {carried:.0%}*"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    found: list[Row] = []
    for case in SECONDS:
        for row in rows_of(case):
            found.append(row)
            print(row, flush=True)
    text = ",\n".join(json.dumps(asdict(row)) for row in found)
    (arguments.out / "aegaeon_link.json").write_text(f"[\n{text}\n]\n")
    (arguments.out / "aegaeon_link.md").write_text(report(found))


if __name__ == "__main__":
    main()
