"""How long an LLM lacks capacity while a deployment changes, by the measured times of starts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby

from scepsy.deploy.changes.observed import GpuId
from scepsy.deploy.changes.order import Balance, Step


def lack_seconds(
    balance: Balance, steps: Sequence[Step], start_seconds: Mapping[str, float]
) -> dict[str, float | None]:
    """By LLM that falls below its floor, the seconds of all starts that begin while it is below.
    None where one of them has no time in `start_seconds`, which is by LLM.

    Starts that follow one another without a leave between them go side by side, one at a time on
    each GPU. The time that calls have to end before a replica leaves is not counted.
    """
    now = balance.copy()
    lasts: dict[str, float | None] = {}
    for starts, group in groupby(steps, key=lambda step: step.starts):
        batch = list(group)
        if starts:
            took = _together(batch, start_seconds)
            for llm in {step.llm for step in steps}:
                if now.missing(llm, now.serving[llm]) > 0.0:
                    so_far = lasts.get(llm, 0.0)
                    lasts[llm] = None if took is None or so_far is None else so_far + took
        for step in batch:
            now.do(step)
    return lasts


def _together(starts: Sequence[Step], start_seconds: Mapping[str, float]) -> float | None:
    """The longest queue of starts on any GPU; None where the time of one is unknown."""
    queues: defaultdict[GpuId, float] = defaultdict(float)
    for step in starts:
        if step.llm not in start_seconds:
            return None
        for part in step.parts:
            queues[part.gpu] += start_seconds[step.llm]
    return max(queues.values(), default=0.0)
