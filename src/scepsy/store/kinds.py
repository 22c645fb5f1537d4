"""Recognises the kind of a file, so that an error can say "this is a plan, not a profile"."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import msgspec

_KEYS = {
    "a plan": {"allocation", "placement"},
    "a deployment's state": {"plan", "replicas"},
    "a profile": {"curves"},
    "a simulation's result": {"workflows", "gpus", "slowest"},
    "a demo's summary": {"workflows", "llms", "machine"},
    "the result of `scepsy drive`": {"workflows", "duration", "warmup"},
    "a cluster": {"nodes"},
    "an LLM file": {"llms"},
}
"""Fields by which each kind is recognised, all of them at the top of the file; first match wins."""

_WRITTEN_BY = {
    "a plan": "`scepsy plan` writes one",
    "a profile": "`scepsy profile` and `scepsy estimate` write one",
    "a cluster": "it has `gpu_memory` and a [[nodes]] table for each machine",
    "an LLM file": "it has an [[llms]] table for each LLM",
}


def kind_of(content: object) -> str | None:
    """The kind of a decoded file, None where it looks like none of ours."""
    if not isinstance(content, Mapping):
        return None
    keys = set(cast(Mapping[str, object], content))
    return next((kind for kind, needed in _KEYS.items() if needed <= keys), None)


def mistaken(path: Path, raw: bytes, expected: str | None) -> str | None:
    """A sentence if the file is of another known kind than `expected`; None otherwise."""
    found = kind_of(_decoded(raw))
    if expected is None or found is None or found == expected:
        return None
    hint = _WRITTEN_BY.get(expected)
    return f"{path}: this is {found}, not {expected}" + (f"; {hint}" if hint else "")


def _decoded(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        return None
