"""What a change does, in plain sentences (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from scepsy.deploy.changes.actions import Action, ActionKind, Changeover, Refusal, Wave

_VERBS: dict[ActionKind, str] = {
    "start": "start",
    "route": "send calls to",
    "drain": "send no new calls to",
    "stop": "stop",
}
_ORDER = tuple(_VERBS)

_OF_SEVERAL = {
    "has it": "has them",
    "have it": "have them",
    "it has": "they have",
    "it is": "they are",
    "it was": "they were",
    "it would": "they would",
    "it hangs": "they hang",
    "it wakes": "they wake",
    "it stays": "they stay",
    "its": "their",
}
_IT = re.compile(r"\b(" + "|".join(_OF_SEVERAL) + r")\b")


def wave_text(number: int, wave: Wave) -> str:
    """One wave, for example "wave 2: send calls to m-1; send no new calls to k-0 (the plan does not
    have it)".
    """
    ordered = sorted(wave.actions, key=lambda one: (_ORDER.index(one.kind), one.reason))
    parts = [
        _part(kind, reason, [one.replica.replica for one in actions])
        for (kind, reason), actions in groupby(ordered, key=_same)
    ]
    dips = [str(dip) for dip in wave.dips]
    return f"wave {number}: {'; '.join(parts + dips)}"


def way_text(way: Changeover) -> tuple[str, ...]:
    """All waves of a change, one sentence for each."""
    return tuple(wave_text(number, wave) for number, wave in enumerate(way.waves, start=1))


def cut_text(replica: str, calls: int, grace: float) -> str:
    """Calls that were not finished in time."""
    what = "1 call was" if calls == 1 else f"{calls} calls were"
    return f"{what} cut at {replica}: not finished after {grace:g} s (--grace)"


def lost_text(replica: str, calls: int, state: str) -> str:
    """Calls that a replica has left unanswered that was "hung" or "dead"."""
    what = "1 call was" if calls == 1 else f"{calls} calls were"
    why = "hung" if state == "hung" else "had died"
    return f"{what} cut at {replica}, which {why}: nothing was left that could be sent elsewhere"


def refusal_text(refusal: Refusal) -> str:
    """Why a change is not made, and what to do about it."""
    if not refusal.dips:
        return refusal.reason
    missing = "; ".join(str(dip) for dip in refusal.dips)
    return f"{refusal.reason} ({missing}); allow it with --allow-dip"


def _part(kind: ActionKind, reason: str, replicas: Sequence[str]) -> str:
    why = reason if len(replicas) == 1 else _IT.sub(lambda it: _OF_SEVERAL[it[0]], reason)
    return f"{_VERBS[kind]} {', '.join(replicas)} ({why})"


def _same(action: Action) -> tuple[ActionKind, str]:
    return action.kind, action.reason
