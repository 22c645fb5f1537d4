"""Token counts that traces lack or that cannot be true: what is put in their place (pure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

import msgspec

from scepsy.core.llm import LlmSpec
from scepsy.core.trace import Call, Trace
from scepsy.errors import BadInput

CHARS_PER_TOKEN = 4.0

_FIX = (
    "have the engine or the client tell them (streams: stream_options.include_usage), "
    "or trace through the gateway, which asks for them"
)


def with_lengths(
    traces: Sequence[Trace], llms: Sequence[LlmSpec]
) -> tuple[tuple[Trace, ...], list[str]]:
    """The traces with every good call's tokens known, and a sentence for each LLM and workflow
    where some were not. A count of zero is unknown: every prompt and every answer has a token.

    A prompt whose text was seen has its characters; other unknown lengths get the mean of what the
    LLM's other calls in the same workflow tell. What is left of failed calls stays as it is.

    Raises:
        BadInput: not one of an LLM's calls in a workflow tells its length.
    """
    kinds = {llm.name: llm.kind for llm in llms}
    groups: defaultdict[tuple[str, str], list[Call]] = defaultdict(list)
    for trace in traces:
        for call in trace.calls:
            if trace.ok and call.ok and call.llm in kinds:
                groups[trace.workflow, call.llm].append(call)
    known: dict[str, Call] = {}
    notes: list[str] = []
    for (workflow, llm), calls in sorted(groups.items()):
        fields = ("prompt_tokens", "output_tokens") if kinds[llm] == "generate" else _PROMPT
        for field in fields:
            calls, note = _told(calls, field, f"{llm!r} in {workflow!r}")
            notes += note
        known |= {call.call: call for call in calls}
    full = tuple(
        msgspec.structs.replace(
            trace, calls=tuple(known.get(call.call, call) for call in trace.calls)
        )
        for trace in traces
    )
    return full, notes


_PROMPT = ("prompt_tokens",)


def _told(calls: Sequence[Call], field: str, whose: str) -> tuple[list[Call], list[str]]:
    told = [value for call in calls if (value := getattr(call, field))]
    missing = len(calls) - len(told)
    if not missing:
        return list(calls), []
    kind = field.removesuffix("_tokens")
    seen = [call for call in calls if call.prompt_chars] if field == "prompt_tokens" else []
    if not told and len(seen) < len(calls):
        raise BadInput(
            f"none of the {len(calls)} calls of {whose} tells its {kind} tokens: how long they "
            f"take cannot be estimated; {_FIX}"
        )
    mean = round(fmean(told)) if told else 0
    said = f"{missing} of {len(calls)} calls of {whose} tell no {kind} tokens: "
    said += (
        f"estimated at {CHARS_PER_TOKEN:g} characters a token"
        if seen
        else f"taken as {mean}, the mean of the others"
    )
    return [_filled(call, field, mean) for call in calls], [said]


def _filled(call: Call, field: str, mean: int) -> Call:
    if getattr(call, field):
        return call
    if field == "prompt_tokens" and call.prompt_chars:
        mean = max(1, round(call.prompt_chars / CHARS_PER_TOKEN))
    return msgspec.structs.replace(call, **{field: mean})
