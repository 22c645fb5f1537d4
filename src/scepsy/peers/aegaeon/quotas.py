"""How long each decode batch runs when its turn comes (pure)."""

from __future__ import annotations

from collections.abc import Sequence

TOKEN_INTERVAL_GOAL = 0.1
"""Goal for the time between two tokens, in seconds: the artifact's default."""
TURN_SECONDS_MAX = 4.0
"""Longest turn in seconds, where `ALPHA_MIN` does not shorten it."""
ALPHA_MIN = 0.5
"""Lower bound of `alpha`, the inverse of the attained fraction of the goal."""


def quotas(steps: Sequence[float], switching: float) -> list[float]:
    """Seconds of each batch's turn in one round.

    `steps`: seconds of each batch's next step. `switching`: seconds of the round that are spent on
    loading weights. With n_i = TOKEN_INTERVAL_GOAL / steps_i, the number of steps of batch i that
    fit between two tokens at the goal:
    alpha = max(switching / (min n * TURN_SECONDS_MAX) + sum 1/n, ALPHA_MIN), and
    turn_i = switching / (n_i (alpha - sum 1/n)). Source: the artifact's `decode_scheduler.py`.
    """
    worth = [TOKEN_INTERVAL_GOAL / step for step in steps]
    busy = sum(1 / one for one in worth)
    alpha = max(switching / (min(worth) * TURN_SECONDS_MAX) + busy, ALPHA_MIN)
    return [switching / (one * (alpha - busy)) for one in worth]
