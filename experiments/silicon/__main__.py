"""Our simulator against measured serving points of other people's engines.

    python3 -m venv out/venv-aic && out/venv-aic/bin/pip install -e '.[aiconfigurator]'
    out/venv-aic/bin/python -m experiments.silicon

A closed loop at each point's concurrency, step times of NVIDIA's oracle and of our roofline (alone
where the extra is missing). Writes `docs/evaluation/silicon.json`, a table per group between the
marks of `silicon.md`, and the picture of predicted against measured.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from experiments.silicon.calibrate import Pair
from experiments.silicon.errors import Row, rows_of
from experiments.silicon.picture import picture
from experiments.silicon.points import LEFT_OUT, Point, read_points
from experiments.silicon.served import served
from experiments.silicon.tables import tables
from experiments.silicon.timers import Source

from scepsy.store.files import write_atomic

OUT = Path(__file__).parents[2] / "docs" / "evaluation"
MARK = "<!-- tables: python -m experiments.silicon -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=1000, help="points of a group, drawn at random")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    groups = by_group(read_points(), options.most)
    sources: tuple[Source, ...] = ("roofline",)
    if find_spec("aiconfigurator_core"):
        sources = ("oracle", "roofline")
    began = time.process_time()
    rows: list[Row] = []
    pairs: dict[Source, dict[tuple[str, ...], list[Pair]]] = {}
    for source in sources:
        pairs[source], why_not = serve(groups, source)
        rows += rows_of(source, groups, pairs[source], why_not)
    seconds = time.process_time() - began
    left_out = list(csv.reader(LEFT_OUT.read_text().splitlines()))[1:]
    content: dict[str, Any] = {
        "command": "python -m experiments.silicon",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "cpu_seconds": round(seconds, 1),
        "left_out": [{"rows": int(count), "reason": reason} for count, reason in left_out],
        "rows": rows,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    write_atomic(options.out / "silicon.json", json.dumps(content, indent=1).encode() + b"\n")
    write_atomic(options.out / "silicon.svg", picture(pairs).encode())
    text = tables(rows)
    page = options.out / "silicon.md"
    if page.exists():
        before, _, rest = page.read_text().partition(MARK)
        write_atomic(page, f"{before}{MARK}\n\n{text}\n{MARK}{rest.partition(MARK)[2]}".encode())
    print(text)
    print(f"{seconds:.0f} s of CPU")


def by_group(points: Sequence[Point], most: int) -> dict[tuple[str, ...], list[Point]]:
    """At most so many points of each group, the same at every call."""
    groups: defaultdict[tuple[str, ...], list[Point]] = defaultdict(list)
    for point in points:
        groups[point.group].append(point)
    rng = random.Random(0)
    return {
        name: some if len(some) <= most else rng.sample(some, most)
        for name, some in sorted(groups.items())
    }


def serve(
    groups: Mapping[tuple[str, ...], Sequence[Point]], source: Source
) -> tuple[dict[tuple[str, ...], list[Pair]], dict[tuple[str, ...], str]]:
    """What could be simulated of each group, and a reason where something could not."""
    pairs: defaultdict[tuple[str, ...], list[Pair]] = defaultdict(list)
    why_not: dict[tuple[str, ...], str] = {}
    for name, points in groups.items():
        for point in points:
            found = served(point, source)
            if isinstance(found, str):
                why_not[name] = found
            else:
                pairs[name].append((point, found))
    return dict(pairs), why_not


if __name__ == "__main__":
    main()
