"""What an engine adds to its steps, fitted on some points for others (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from experiments.silicon.points import Point
from experiments.silicon.served import Parts, Served

from scepsy.statistics.regression import non_negative

ROUNDS = 30
FIRST_TOKEN = 0.25
"""What a relative error of TTFT counts, against one of the whole latency."""

Pair = tuple[Point, Served]


@dataclass(frozen=True, slots=True)
class Adds:
    """Steps are `scale` times as long, with `host` seconds more and `token` for each token that
    they generate; a call has `request` seconds beside its steps, before its first token.
    """

    scale: float = 1.0
    host: float = 0.0
    token: float = 0.0
    request: float = 0.0

    def ttft(self, served: Served) -> float:
        return self._of(served.ttft) + self.request

    def tpot(self, served: Served) -> float:
        return self._of(served.tpot)

    def whole(self, point: Point, served: Served) -> float:
        return self.ttft(served) + (point.generated - 1) * self.tpot(served)

    def _of(self, parts: Parts) -> float:
        return self.scale * parts.seconds + self.host * parts.steps + self.token * parts.tokens


def fit(pairs: Sequence[Pair], *, scaled: bool = True) -> Adds:
    """Least absolute relative errors of whole latency and, with less weight, of TTFT; nothing is
    negative. Without `scaled` the steps stay as long as they are.
    """
    rows: list[tuple[float, ...]] = []
    for point, served in pairs:
        first = np.array((*astuple(served.ttft), 1.0))
        rest = np.array((*astuple(served.tpot), 0.0)) * (point.generated - 1)
        rows.append((*(first + rest) / point.whole, 1.0))
        rows.append((*first / point.ttft, FIRST_TOKEN))
    table = np.array(rows)
    columns, weights = table[:, :-1], table[:, -1]
    goal = np.ones(len(table))
    fixed = np.zeros(4)
    if not scaled:
        goal -= columns[:, 0]
        fixed[0] = 1.0
    free = [0, 1, 2, 3] if scaled else [1, 2, 3]
    at = weights.copy()
    best = fixed
    for _ in range(ROUNDS):
        best = fixed.copy()
        root = np.sqrt(at)
        best[free] = non_negative(columns[:, free] * root[:, None], goal * root)
        left = np.abs(columns[:, free] @ best[free] - goal)
        at = weights / np.maximum(left, 0.01)
    return Adds(*map(float, best))
