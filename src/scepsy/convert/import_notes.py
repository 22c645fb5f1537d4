"""Notes on an import: what its calls do not contain, and which spans were not counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from scepsy.convert.evidence import MODEL_NAME_ONLY
from scepsy.convert.span import GENERATES
from scepsy.core.trace import Call


def notes_on(
    calls: Sequence[Call], *, duplicates: int, wrappers: int, skipped: Mapping[str, int]
) -> Iterator[str]:
    """Sentences for the user.

    Args:
        duplicates: spans that the files contain again. wrappers: LLM spans around, or beside,
            another span of the same call. skipped: spans that are no LLM calls, by kind.
    """
    if duplicates:
        yield f"counted once: {number(duplicates, 'span')} that the files contain more than once"
    if wrappers:
        yield f"not counted: {number(wrappers, 'LLM span')} around another span of the same call"
    if count := skipped.get(MODEL_NAME_ONLY, 0):
        yield f"not counted: {number(count, 'span')} with a model's name but no sign of a call"
    yield from _unknown(calls)


def number(count: int, noun: str) -> str:
    """ "1 span", "2 spans"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _unknown(calls: Sequence[Call]) -> Iterator[str]:
    for name, field in (("prompt", "prompt_tokens"), ("output", "output_tokens")):
        generating = [call for call in calls if name == "prompt" or call.endpoint in GENERATES]
        unknown = sum(getattr(call, field) is None for call in generating)
        if unknown:
            yield f"{unknown} of {number(len(generating), 'call')}: number of {name} tokens unknown"
    untimed = sum(not call.timed for call in calls)
    if untimed:
        yield (
            f"{untimed} of {number(len(calls), 'call')}: duration unknown; "
            "they count in n, but not in parallelism and time shares"
        )
    runs = {(call.workflow, call.run) for call in calls}
    if 1 < len(runs) == len(calls):
        yield (
            f"each of the {len(runs)} runs has one call: if a run of yours makes more, "
            "its calls were not tied together when they were recorded (no root span, no session)"
        )
