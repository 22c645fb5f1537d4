"""What an engine adds to its steps, fitted on some points for others (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from experiments.silicon.points import Point
from experiments.silicon.served import Parts, Served

ROUNDS = 30
FIRST_TOKEN = 0.25
"""What a relative error of TTFT counts, against one of the whole latency."""

Pair = tuple[Point, Served]


@dataclass(frozen=True, slots=True)
class Adds:
    """Steps are `scale` times as long with `host` seconds more; a call has `request` seconds beside
    its steps, before its first token.
    """

    scale: float = 1.0
    host: float = 0.0
    request: float = 0.0

    def ttft(self, served: Served) -> float:
        return self._of(served.ttft) + self.request

    def tpot(self, served: Served) -> float:
        return self._of(served.tpot)

    def whole(self, point: Point, served: Served) -> float:
        return self.ttft(served) + (point.generated - 1) * self.tpot(served)

    def _of(self, parts: Parts) -> float:
        return self.scale * parts.seconds + self.host * parts.steps


def fit(pairs: Sequence[Pair], *, scaled: bool = True) -> Adds:
    """Least absolute relative errors of whole latency and, with less weight, of TTFT; nothing is
    negative. Without `scaled` the steps stay as long as they are.
    """
    rows: list[tuple[float, float, float, float]] = []
    for point, served in pairs:
        more = point.generated - 1
        first, each = served.ttft, served.tpot
        whole = first.seconds + more * each.seconds, first.steps + more * each.steps, 1.0
        rows.append((*(value / point.whole for value in whole), 1.0))
        shares = (first.seconds / point.ttft, first.steps / point.ttft, 1.0 / point.ttft)
        rows.append((*shares, FIRST_TOKEN))
    table = np.array(rows)
    columns, weights = table[:, :3], table[:, 3]
    goal = np.ones(len(table))
    fixed = np.zeros(3)
    if not scaled:
        goal -= columns[:, 0]
        fixed[0] = 1.0
    free = [0, 1, 2] if scaled else [1, 2]
    at = weights.copy()
    best = fixed
    for _ in range(ROUNDS):
        best = fixed.copy()
        best[free] = _positive(columns[:, free], goal, at)
        left = np.abs(columns[:, free] @ best[free] - goal)
        at = weights / np.maximum(left, 0.01)
    return Adds(*map(float, best))


def _positive(columns: np.ndarray, goal: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted least squares without negative values: the best of all sets of columns."""
    root = np.sqrt(weights)
    found: list[tuple[float, np.ndarray]] = []
    for kept in product((False, True), repeat=columns.shape[1]):
        some = np.zeros(columns.shape[1])
        if any(kept):
            part = columns[:, kept] * root[:, None]
            some[np.array(kept)] = np.linalg.lstsq(part, goal * root, rcond=None)[0]
        if (some >= 0).all():
            found.append((float(np.sum(weights * (columns @ some - goal) ** 2)), some))
    return min(found, key=lambda one: one[0])[1]
