"""Demos of several seeds, one after another: predicted mean latencies with their intervals beside
the measured ones.

    .venv/bin/python experiments/demo_seeds.py [--seeds N...] [--quick] [--work DIR] [--out DIR]

Each takes about five minutes on a machine that does nothing else. Seeds whose demo has finished
are not run again: remove their folder for that. Writes demo_seeds.json and demo_seeds.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evaluation.intervals import EXPLAINED, WANTED, Compared, table

from scepsy.core.plan import WorkflowPrediction
from scepsy.predict import NINETY_PERCENT
from scepsy.store import read_plan

ROOT = Path(__file__).parent.parent
SEEDS = tuple(range(5))
PARTS = ("runs", "curves", "model")
"""Of an interval. Curves of the demo are measured, so nothing is estimated."""
HEAD = """# Demos of several seeds

    .venv/bin/python experiments/demo_seeds.py

`scepsy demo --seed S` on emulated engines, one after another. The programs are driven with the very
inputs that were traced, in another order and at other times, so the part of the interval for the
traced runs is more than it takes.

"""


@dataclass(frozen=True, slots=True)
class Row:
    """One workflow of one demo. Seconds; the parts of the interval are half-widths, relative.
    `completed`: measured runs. `standard_error`: that of the measured mean, None for too few runs.
    """

    seed: int
    workflow: str
    predicted: float
    low: float | None
    high: float | None
    parts: dict[str, float]
    measured: float
    standard_error: float | None
    completed: int
    verdict: str


def rows(folder: Path) -> Iterator[Row]:
    """Of a finished demo."""
    plan = read_plan(folder / "plan.json")
    summary = json.loads((folder / "summary.json").read_text())
    predicted = {flow.workflow: flow for flow in plan.prediction.workflows}
    for flow in summary["workflows"]:
        said, seen = predicted[flow["workflow"]], flow["measured"]
        yield Row(
            seed=summary["seed"],
            workflow=flow["workflow"],
            predicted=said.latency_mean,
            low=said.latency_low,
            high=said.latency_high,
            parts=_parts(said),
            measured=seen["latency_mean"],
            standard_error=seen["standard_error"],
            completed=seen["completed"],
            verdict=seen["verdict"],
        )


def _parts(flow: WorkflowPrediction) -> dict[str, float]:
    parts = flow.interval_parts
    if parts is None:
        return {}
    return {
        "runs": parts.runs,
        "curves": parts.curves,
        "model": parts.model,
        "estimate": parts.estimate,
    }


def report(of: Sequence[dict[str, Any]]) -> str:
    """The tables of the rows as they are in the file."""
    known = [
        (row, Compared(row["predicted"], row["low"], row["high"], row["measured"], error))
        for row in of
        if row["low"] is not None and (error := row["standard_error"]) is not None
    ]
    names = sorted({row["workflow"] for row, _ in known})
    groups = [([name], [one for row, one in known if row["workflow"] == name]) for name in names]
    groups.append((["all"], [one for _, one in known]))
    lines = [
        "| seed | workflow | predicted, s | 90% interval, s | runs | curves | predictor "
        "| measured, s | of runs | error |",
        "|---" * 10 + "|",
    ]
    lines += map(_line, of)
    summary = table(groups, ("workflow",)) if known else "No demo has an interval.\n"
    return f"{HEAD}{EXPLAINED}\n{summary}\n{WANTED}\n\n" + "\n".join(lines) + "\n"


def _line(row: dict[str, Any]) -> str:
    within = "-" if row["low"] is None else f"{row['low']:.3g} to {row['high']:.3g}"
    parts = [f"±{row['parts'][one]:.0%}" if row["parts"] else "-" for one in PARTS]
    error = row["predicted"] / row["measured"] - 1
    chance = row["standard_error"]
    measured = f"{row['measured']:.3g}" + (
        "" if chance is None else f" ± {NINETY_PERCENT * chance:.2g}"
    )
    cells = [row["seed"], row["workflow"], f"{row['predicted']:.3g}", within, *parts]
    return "| " + " | ".join(map(str, [*cells, measured, row["completed"], f"{error:+.0%}"])) + " |"


def run(seed: int, folder: Path, *, quick: bool) -> bool:
    """A demo; whether it succeeded."""
    command = [sys.executable, "-m", "scepsy", "demo", "--seed", str(seed), "--out", str(folder)]
    print(f"demo of seed {seed} -> {folder}", file=sys.stderr, flush=True)
    done = subprocess.run([*command, *(["--quick"] if quick else [])], cwd=ROOT, check=False)
    return done.returncode == 0


def finished(folders: Iterable[Path]) -> list[Row]:
    """Rows of the demos that have finished."""
    done = [folder for folder in folders if (folder / "summary.json").is_file()]
    return [row for folder in done for row in rows(folder)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--quick", action="store_true", help="small demos: a try")
    parser.add_argument("--work", type=Path, help="where the demos go (default: out/demo_seeds)")
    parser.add_argument("--out", type=Path, help="default: docs/evaluation; with --quick, --work")
    arguments = parser.parse_args()
    name = "demo_seeds_quick" if arguments.quick else "demo_seeds"
    work = arguments.work or ROOT / "out" / name
    out = arguments.out or (work if arguments.quick else ROOT / "docs" / "evaluation")
    out.mkdir(parents=True, exist_ok=True)
    folders = [(work / str(seed)).resolve() for seed in arguments.seeds]
    failed: list[int] = []
    for seed, folder in zip(arguments.seeds, folders, strict=True):
        known = (folder / "summary.json").is_file()
        if not known and not run(seed, folder, quick=arguments.quick):
            failed.append(seed)
        found = [asdict(row) for row in finished(folders)]
        (out / "demo_seeds.json").write_text("[\n" + ",\n".join(map(json.dumps, found)) + "\n]\n")
        (out / "demo_seeds.md").write_text(report(found))
    if failed:
        sys.exit(f"demos of these seeds failed: {failed}; the same command tries them again")


if __name__ == "__main__":
    main()
