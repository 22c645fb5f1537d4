"""How long each decode batch runs when its turn comes (pure)."""

from __future__ import annotations

from collections.abc import Sequence

TOKEN_GOAL = 0.1
"""Seconds between tokens that are promised: the artifact's default."""
LONGEST = 4.0
"""Seconds: the longest turn, but for what keeps `alpha` from falling below its floor."""
LEAST_ALPHA = 0.5


def quotas(steps: Sequence[float], switching: float) -> list[float]:
    """Seconds of each batch's turn, of batches whose next step takes `steps` seconds each, in a
    round that spends `switching` seconds on loading weights.

    With n_i = TOKEN_GOAL / step_i, the tokens that a step's time may be worth:
    alpha = max(switching / (min n * LONGEST) + sum 1/n, LEAST_ALPHA), and
    q_i = switching / (n_i (alpha - sum 1/n)). The artifact's `decode_scheduler.py`.
    """
    worth = [TOKEN_GOAL / step for step in steps]
    busy = sum(1 / one for one in worth)
    alpha = max(switching / (min(worth) * LONGEST) + busy, LEAST_ALPHA)
    return [switching / (one * (alpha - busy)) for one in worth]
