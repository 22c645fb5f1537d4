"""Sentences on an import: what its calls do not tell, and what was not counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scepsy.convert.evidence import NAMES_ONLY
from scepsy.convert.span import GENERATES
from scepsy.core.trace import Call


@dataclass(slots=True)
class Totals:
    """Counts that are kept while calls are made of spans.

    Attributes:
        twice: spans that were told again. told: spans that look like LLM calls.
        distinct: calls that they are.
        unended, nameless, nameless_failures, malformed: calls that were left out, by reason.
    """

    twice: int = 0
    told: int = 0
    distinct: int = 0
    unended: int = 0
    nameless: int = 0
    nameless_failures: int = 0
    malformed: int = 0


def notes_on(calls: Sequence[Call], totals: Totals, skipped: Mapping[str, int]) -> Iterator[str]:
    if totals.twice:
        yield f"{totals.twice} spans were told more than once, and counted once"
    if wrappers := totals.told - totals.distinct:
        yield (
            f"{wrappers} LLM spans are around another one of the same call, and were not counted"
        )
    for why, count in (
        ("never ended", totals.unended),
        ("failed and name no LLM", totals.nameless_failures),
        ("name no LLM (name it with --llm)", totals.nameless),
        ("are malformed", totals.malformed),
    ):
        if count:
            yield f"{count} calls {why}, and were left out"
    if count := skipped.get(NAMES_ONLY, 0):
        yield f"{count} spans name a model, but tell nothing else of an LLM call: not counted"
    yield from _unknown(calls)


def _unknown(calls: Sequence[Call]) -> Iterator[str]:
    for name, told in (("prompt", "prompt_tokens"), ("output", "output_tokens")):
        generating = [call for call in calls if name == "prompt" or call.endpoint in GENERATES]
        unknown = sum(getattr(call, told) is None for call in generating)
        if unknown:
            yield f"{unknown} of {len(generating)} calls tell no {name} tokens: unknown"
    untimed = sum(not call.timed for call in calls)
    if untimed:
        yield (
            f"{untimed} of {len(calls)} calls tell no duration: "
            "they count in n, but not in parallelism and shares of time"
        )
    runs = {(call.workflow, call.run) for call in calls}
    if 1 < len(runs) == len(calls):
        yield (
            f"each of the {len(runs)} runs has one call: if a run of yours makes more, "
            "its calls were not tied together when they were recorded (no root span, no session)"
        )
