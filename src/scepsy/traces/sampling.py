"""Which runs are recorded if only a part is, and how many runs the recorded ones stand for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from scepsy.core.trace import Trace

_SCALE = 1 << 64


def is_sampled(run: str, sample: float) -> bool:
    """Whether a run is among the fraction `sample` of all runs. Whoever asks gets the same answer,
    and a run of a smaller sample is in every larger one.
    """
    if sample >= 1.0:
        return True
    digest = hashlib.blake2b(run.encode("utf-8", "backslashreplace"), digest_size=8).digest()
    return int.from_bytes(digest) < sample * _SCALE


def represented(traces: Iterable[Trace]) -> float:
    """How many runs took place, by estimate, given those that were recorded: at a sample of 10%,
    each stands for ten.
    """
    return sum(1.0 / run.calls[0].sample for run in traces)
