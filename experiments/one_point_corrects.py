"""How much of an estimate's error is left once one point of the curve was measured.

    python -m experiments.one_point_corrects

Each curve is the serving points (`estimated_profiles.py`) of one LLM, GPU type, engine, TP degree
and pair of lengths at three or more concurrencies. The point in the middle sets the scale; the
errors of whole latency at the others are compared before and after.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from statistics import fmean

from experiments.estimated_profiles import EXCLUDED, POINTS, case_of, estimate

Key = tuple[str, ...]


def main() -> None:
    """Prints a line for dense LLMs and one for mixtures."""
    curves: dict[Key, list[tuple[int, float]]] = defaultdict(list)
    with POINTS.open() as file:
        for row in csv.DictReader(file):
            case = case_of(row)
            served = estimate(case, "roofline")
            if served is None or (row["llm"], row["gpu"], row["backend"]) in EXCLUDED:
                continue
            more = case.clients.output_tokens * (1 + case.clients.least) / 2 - 1
            real = (float(row["ttft_ms"]) + more * float(row["tpot_ms"])) / 1e3
            lengths = row["prompt_tokens"], row["output_tokens"]
            key = (row["llm"], row["gpu"], row["backend"], row["tp"], *lengths)
            ratio = (served[0] + more * served[1]) / real
            curves[key].append((case.clients.concurrency, ratio))
    for kind, mixture in (("dense", False), ("mixtures", True)):
        print(f"{kind}: {_left([c for key, c in curves.items() if ('oss' in key[0]) == mixture])}")


def _left(curves: list[list[tuple[int, float]]]) -> str:
    before: list[float] = []
    after: list[float] = []
    for curve in (sorted(curve) for curve in curves if len(curve) >= 3):
        ratios = [ratio for _, ratio in curve]
        middle = ratios.pop(len(ratios) // 2)
        before += [abs(ratio - 1) for ratio in ratios]
        after += [abs(ratio / middle - 1) for ratio in ratios]
    left = fmean(after) / fmean(before)
    return f"{fmean(before):.1%} -> {fmean(after):.1%}, {left:.2f} of it, {len(after)} points"


if __name__ == "__main__":
    main()
