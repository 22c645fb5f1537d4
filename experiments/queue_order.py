"""How calls are routed and ranked: what each rule does to mean workflow latency in the simulator.

    .venv/bin/python experiments/queue_order.py [--gpus N...] [--out FILE]

Rules of choice: the least loaded replica with the run deciding between equals (as it was), and the
run's own among those near the least loaded (`routing.choose`). Rules of order: first come first
served, earlier runs first (`routing.priority`), and the least remaining work first, told how many
calls are still to come, as only the program knows. Prints as it goes, and writes a table.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.measure import Offered, measured
from evaluation.problems import Spot, highest, problem
from evaluation.systems import ours

from scepsy.core.plan import Placement
from scepsy.peers.hpa import hpa
from scepsy.planning.problem import Problem
from scepsy.routing.choose import choose
from scepsy.sim.cluster.simulation import Ask, ServedCall, Server

CASES = ("beam_search", "rag", "both")
PARTS = (0.5, 0.8, 0.9)
CALLS, LEAST_SECONDS = 12_000, 20.0

Choose = Callable[[int, Sequence[Server], int], int]
Rank = Callable[[int, Ask], int]


def least(run: int, replicas: Sequence[Server], turn: int) -> int:
    fewest = min(one.in_flight for one in replicas)
    equals = [index for index, one in enumerate(replicas) if one.in_flight == fewest]
    return equals[choose([replicas[i] for i in equals], affinity=str(run), turn=turn) or 0]


def near(run: int, replicas: Sequence[Server], turn: int) -> int:
    return choose(replicas, affinity=str(run), turn=turn) or 0


def first_come(run: int, ask: Ask) -> int:
    return 0


def earlier_run(run: int, ask: Ask) -> int:
    return run


def least_remaining(run: int, ask: Ask) -> int:
    return -ask.stage


RULES: dict[str, tuple[Choose, Rank]] = {
    "least loaded, first come": (least, first_come),
    "least loaded, earlier run": (least, earlier_run),
    "near, first come": (near, first_come),
    "near, earlier run": (near, earlier_run),
    "near, least remaining": (near, least_remaining),
}


@dataclass(slots=True)
class Rule:
    chosen: Choose
    rank: Rank
    turn: int = 0

    def choose(
        self, workflow: str, run: int, ask: Ask, replicas: Sequence[Server], now: float
    ) -> tuple[int, int]:
        self.turn += 1
        return self.chosen(run, replicas, self.turn), self.rank(run, ask)

    def ended(self, call: ServedCall) -> None: ...


def cells(one: Problem, scale: float, placement: Placement) -> list[str]:
    rates = {target.workflow: target.rate * scale for target in one.targets}
    calls = sum(
        rates[demand.workflow] * sum(llm.calls for llm in demand.llms) for demand in one.demands
    )
    offered = Offered(max(LEAST_SECONDS, CALLS / calls))
    found: list[str] = []
    for rule in RULES.values():
        results = measured(one, scale, placement, Rule(*rule), offered)
        found.append(
            "; ".join(
                f"{r.latency.mean:.2f} / {r.latency.p99 or math.nan:.1f}"
                f"{' *' if r.verdict == 'not sustained' else ''}"
                for r in results.workflows.values()
            )
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpus", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--out", type=Path, default=Path("out/evaluation/queue_order.md"))
    arguments = parser.parse_args()
    lines = [
        f"| case, mean / p99 in s, * not sustained | {' | '.join(RULES)} |",
        "|---" * (1 + len(RULES)) + "|",
    ]
    for case in CASES:
        for gpus in arguments.gpus:
            spot = Spot(case, "h100", gpus)
            one, most = problem(spot), highest(spot)
            for part in PARTS:
                for name, strategy in (("Scepsy", ours), ("HPA", hpa)):
                    placement = strategy(one.scaled(part * most))
                    if isinstance(placement, Placement):
                        row = " | ".join(cells(one, part * most, placement))
                        lines.append(f"| {case}, {gpus} GPUs, {part:.0%}, {name} | {row} |")
                        print(lines[-1], flush=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
