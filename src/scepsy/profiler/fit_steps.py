"""Fits an engine's step time to the calls that were measured on it (pure).

While a call decodes, each of its tokens takes one step:

    tpot = fixed + sequence * B + kv_token * K + prefill_token * P

B is the number of sequences that decode at the same time (this one included), K the tokens of
context that these sequences hold, and P the prompt tokens computed per step, each averaged over the
time in which the call decodes. The first token of a call to an idle engine, and the whole of a call
that generates nothing, takes

    ttft = fixed + prefill_token * (prompt tokens of the call and of those sent together with it).

tpot and ttft are in seconds, and so are the constants, per step, sequence or token.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scepsy.core.profile import StepTime
from scepsy.curves.rounds import Round, Sample
from scepsy.statistics.regression import non_negative

Floats = NDArray[np.float64]

_CALLS_PER_ROUND_MAX = 400
"""Calls taken of a round. The cost grows with the square of this number."""

_EQUATIONS_MIN = 12
"""Measured step times. With fewer, four constants cannot be distinguished from noise."""

_OUTPUT_TOKENS_MIN = 3
"""A call with fewer output tokens has too few steps for a mean time per token."""


def step_time(rounds: Sequence[Round]) -> StepTime | None:
    """The constants by least squares on relative errors, none of them below zero; None for too few
    calls.
    """
    parts = [_rows(one) for one in rounds if one.samples]
    if not parts:
        return None
    rows = np.concatenate([rows for rows, _ in parts])
    seconds = np.concatenate([seconds for _, seconds in parts])
    if len(seconds) < _EQUATIONS_MIN:
        return None
    found = non_negative(rows / seconds[:, None], np.ones(len(seconds)))
    error = float(np.mean(np.abs(rows @ found / seconds - 1)))
    fixed, prefill_token, sequence, kv_token = (float(value) for value in found)
    return StepTime(
        fixed=fixed,
        prefill_token=prefill_token,
        sequence=sequence,
        kv_token=kv_token,
        error=error,
    )


def _rows(one: Round) -> tuple[Floats, Floats]:
    """Factors of (fixed, prefill_token, sequence, kv_token) in each equation, and its seconds."""
    samples = one.samples[:_CALLS_PER_ROUND_MAX]
    sent = np.array([s.sent for s in samples])
    first = np.array([s.sent + (s.latency if s.ttft is None else s.ttft) for s in samples])
    end = np.array([s.sent + s.latency for s in samples])
    fresh = np.array([max(1, s.prompt_tokens - s.cached_tokens) for s in samples], dtype=float)
    rows: list[Floats] = []
    seconds: list[Floats] = []
    if one.kind == "idle":
        together = (_overlap(sent, first, sent, first) > 0).astype(np.float64)
        rows.append(_factors(prefill=together @ fresh))
        seconds.append(first - sent)
    decoding = np.array(
        [s.tpot is not None and s.output_tokens >= _OUTPUT_TOKENS_MIN for s in samples]
    )
    if decoding.any():
        rows.append(_decode_rows(samples, decoding, (sent, first, end), fresh))
        seconds.append(np.array([s.tpot for s, d in zip(samples, decoding, strict=True) if d]))
    known = np.concatenate(seconds) if seconds else np.zeros(0)
    return (np.concatenate(rows) if rows else np.zeros((0, 4)))[known > 0], known[known > 0]


def _decode_rows(
    samples: Sequence[Sample],
    decoding: NDArray[np.bool_],
    times: tuple[Floats, Floats, Floats],
    fresh: Floats,
) -> Floats:
    sent, first, end = times
    context = np.array([s.prompt_tokens + s.output_tokens / 2 for s in samples])
    steps = np.array([s.output_tokens - 1 for s in samples], dtype=float)[decoding]
    mine = (first[decoding], end[decoding])
    lasts = (mine[1] - mine[0])[:, None]
    decodes = _overlap(*mine, first, end) / lasts
    prefills = _overlap(*mine, sent, first) / np.maximum(first - sent, 1e-9)
    return _factors(
        prefill=prefills @ fresh / steps, sequence=decodes.sum(axis=1), kv=decodes @ context
    )


def _factors(prefill: Floats, sequence: Floats | float = 0.0, kv: Floats | float = 0.0) -> Floats:
    rows = np.ones((len(prefill), 4))
    rows[:, 1], rows[:, 2], rows[:, 3] = prefill, sequence, kv
    return rows


def _overlap(begin: Floats, end: Floats, others_begin: Floats, others_end: Floats) -> Floats:
    """Seconds for which each interval overlaps each of the others."""
    low = np.maximum(begin[:, None], others_begin[None, :])
    high = np.minimum(end[:, None], others_end[None, :])
    return np.maximum(0.0, high - low)
