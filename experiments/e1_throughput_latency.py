"""E1: throughput against workflow latency, our plans and those of our implementations of others'
published policies, in the same simulator.

    .venv/bin/python experiments/e1_throughput_latency.py [--small] [--gpus N...] [--gpu-type TYPE]
        [--case NAME...] [--calls N] [--out DIR]

Writes e1.json (one row per case, GPUs, system, rate and workflow), e1_reach.json (the highest rate
that each system carries within a latency bound), e1.md (tables), e1.svg (the main figure) and
e1-*.svg. Where only some clusters or cases are asked for, other rows of the files stay as they are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evaluation import parallel
from evaluation.overview import overview
from evaluation.pictures import draw
from evaluation.points import Point, Reach, reach, rows_at
from evaluation.problems import Spot, problem
from evaluation.systems import SYSTEMS
from evaluation.tables import report

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Grid:
    """Spots, at parts of the highest rate for which we find a plan, for at most so many calls; and
    the systems whose reach is sought, for at most so many calls a time.
    """

    gpu_type: str
    cases: Sequence[str]
    gpus: Sequence[int]
    parts: Sequence[float]
    calls: int
    systems: Sequence[str] = tuple(system.name for system in SYSTEMS)
    reaching: Sequence[str] = ()
    reach_calls: int = 120_000

    @property
    def spots(self) -> list[Spot]:
        return [Spot(case, self.gpu_type, gpus) for gpus in self.gpus for case in self.cases]


FOUR = ("beam_search", "rag", "both", "coding")
PARTS = (0.1, 0.5, 0.9)
MAIN = ("Scepsy", "HPA", "user-specified, best", "independent sizing", "MuxServe, whole groups")
LARGE = ("Scepsy", "HPA", "independent sizing")
SMALL = (Grid("h100", ("rag", "both"), (4,), (0.5,), 10_000, reaching=MAIN[:2], reach_calls=5_000),)
FULL = (
    Grid("h100", FOUR, (4, 8), PARTS, 300_000, reaching=MAIN),
    Grid("h100", FOUR, (16,), PARTS, 300_000),
    Grid("a100", FOUR, (4, 8, 16), PARTS[1:], 300_000, MAIN),
    Grid("h100", ("rag",), (64, 256), PARTS[1:], 300_000, LARGE),
    Grid("h100", ("rag",), (1024,), PARTS[1:], 600_000, LARGE[:2]),
)


def chosen(arguments: argparse.Namespace) -> Iterator[tuple[Grid, list[Spot]]]:
    for grid in SMALL if arguments.small else FULL:
        calls = arguments.calls or grid.calls
        yield (
            replace(grid, calls=calls, reach_calls=min(calls, grid.reach_calls)),
            [
                spot
                for spot in grid.spots
                if arguments.gpu_type in (None, spot.gpu_type)
                and (not arguments.gpus or spot.gpus in arguments.gpus)
                and (not arguments.case or spot.case in arguments.case)
            ],
        )


def merged(path: Path, rows: Sequence[Mapping[str, Any]], spots: set[Spot]) -> list[dict[str, Any]]:
    """The rows of the file that are of other spots, and the new ones."""
    before = json.loads(path.read_text()) if path.is_file() else []
    kept = [row for row in before if _spot(row) not in spots]
    order = [spot for grid in FULL for spot in grid.spots]

    def place(row: Mapping[str, Any]) -> tuple[str, int, int]:
        spot = _spot(row)
        return row["gpu_type"], spot.gpus, order.index(spot) if spot in order else len(order)

    found = sorted([*kept, *map(dict, rows)], key=place)
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in found) + "\n]\n")
    return found


def _spot(row: Mapping[str, Any]) -> Spot:
    return Spot(row["case"], row["gpu_type"], row["gpus"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a few minutes, for CI")
    parser.add_argument("--gpus", type=int, nargs="+", help="only clusters of so many GPUs")
    parser.add_argument("--gpu-type", help="only GPUs of this type")
    parser.add_argument("--case", nargs="+", help="only these cases")
    parser.add_argument("--calls", type=int, help="most calls of a point (default: the grid's)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    grids = list(chosen(arguments))
    spots = {spot for _, of in grids for spot in of}
    # The costliest first; what is put together of others last.
    known = sorted(spots, key=lambda one: (one.case == "both", one.case != "beam_search", one))
    parallel.run("E1, profiles", _prepared, known)

    points = [
        Point(spot, part, grid.calls, tuple(grid.systems))
        for grid, of in grids
        for spot in of
        for part in grid.parts
    ]
    reaches = [
        Reach(spot, grid.reach_calls, system)
        for grid, of in grids
        for spot in of
        for system in grid.reaching
    ]
    by_cost = sorted(range(len(points)), key=lambda at: -points[at].spot.gpus * points[at].part)
    rows = parallel.run("E1", rows_at, [points[at] for at in by_cost])
    ordered = sorted(zip(by_cost, rows, strict=True))
    found = merged(
        arguments.out / "e1.json", [asdict(row) for _, of in ordered for row in of], spots
    )
    reached = [
        {**asked.spot._asdict(), "system": asked.system, "reach": part}
        for asked, part in zip(reaches, parallel.run("E1, reach", reach, reaches), strict=True)
    ]
    far = merged(arguments.out / "e1_reach.json", reached, spots)
    (arguments.out / "e1.md").write_text(report(found, far))
    draw(found, arguments.out)
    overview(found, arguments.out / "e1.svg")


def _prepared(spot: Spot) -> None:
    problem(spot)


if __name__ == "__main__":
    main()
