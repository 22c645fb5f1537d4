"""Refuses the parameter values that vLLM refuses, with its messages (pure)."""

from __future__ import annotations

import re
from typing import Protocol

from scepsy.engines.emulated.wire.errors import RequestRefused

STOPS_MAX = 4
"""Stop strings of a request, as in OpenAI's API."""


class Limited(Protocol):
    """The fields of a request that have limits."""

    max_tokens: int | None
    max_completion_tokens: int | None
    min_tokens: int
    n: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    repetition_penalty: float | None
    stop: str | list[str] | None


def check_limits(body: Limited) -> None:
    """Raises RequestRefused for a value out of range. Some errors name no field, as in vLLM."""
    most = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
    _require(most is None or most >= 1, f"max_tokens must be at least 1, got {most}.", "max_tokens")
    _require(body.n is None or body.n >= 1, f"n must be at least 1, got {body.n}.")
    _check_drawing(body)
    for name in ("presence_penalty", "frequency_penalty"):
        value: float | None = getattr(body, name)
        _require(value is None or -2 <= value <= 2, f"{name} must be in [-2, 2], got {value}.")
    penalty = body.repetition_penalty
    _require(
        penalty is None or penalty > 0, f"repetition_penalty must be greater than zero: {penalty}."
    )
    least = body.min_tokens
    _require(least >= 0, f"min_tokens must be at least 0, got {least}.")
    _require(
        most is None or least <= most,
        f"min_tokens must be less than or equal to max_tokens={most}, got {least}.",
    )
    _check_stops(body.stop)


def check_regex(pattern: str | None) -> None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise RequestRefused(f"Failed to transform regex into a grammar: {error}") from error


def _check_drawing(body: Limited) -> None:
    heat = body.temperature
    if heat is not None:
        _require(heat >= 0, f"temperature must be non-negative, got {heat}.", "temperature")
        _require(heat <= 2, f"temperature must be in [0, 2], got {heat}.", "temperature")
        _require(
            heat > 0 or (body.n or 1) == 1,
            f"n must be 1 when using greedy sampling, got {body.n}.",
        )
    top = body.top_p
    _require(top is None or 0 < top <= 1, f"top_p must be in (0, 1], got {top}.", "top_p")
    _require(
        body.top_k is None or body.top_k >= -1,
        f"top_k must be 0 (disable), or at least 1, got {body.top_k}.",
    )
    _require(
        body.min_p is None or 0 <= body.min_p <= 1, f"min_p must be in [0, 1], got {body.min_p}."
    )


def _check_stops(stop: str | list[str] | None) -> None:
    stops = [stop] if isinstance(stop, str) else stop or []
    if len(stops) > STOPS_MAX:
        message = f"stop can have at most {STOPS_MAX} strings, got {len(stops)}"
        raise RequestRefused(message, param="body.stop", kind="Bad Request")
    _require("" not in stops, "stop cannot contain an empty string.")


def _require(holds: bool, message: str, param: str | None = None) -> None:
    if not holds:
        raise RequestRefused(message, param=param)
