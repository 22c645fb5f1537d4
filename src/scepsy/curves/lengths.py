"""Fills in token counts that are missing from traces or cannot be true (pure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

import msgspec

from scepsy.core.llm import LlmSpec
from scepsy.core.trace import Call, Trace
from scepsy.errors import BadInput

CHARS_PER_TOKEN = 4.0
"""Characters of English text per token, roughly, with the tokenizers of today's LLMs."""

_FIX = (
    "make the engine or the client report them (streams: stream_options.include_usage), "
    "or trace through the gateway, which asks for them"
)


def with_lengths(
    traces: Sequence[Trace], llms: Sequence[LlmSpec]
) -> tuple[tuple[Trace, ...], list[str]]:
    """The traces with token counts for every successful call, and a sentence for each LLM and
    workflow where some were missing. A count of zero is taken as missing, because every prompt and
    every answer has at least one token.

    Where the characters of a prompt are known, its tokens are estimated from them. Other missing
    counts become the mean of the LLM's other calls in the same workflow. Failed calls stay as they
    are.

    Raises:
        BadInput: none of an LLM's calls in a workflow has a token count.
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
            calls, note = _filled_in(calls, field, f"{llm!r} in {workflow!r}")
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


def _filled_in(calls: Sequence[Call], field: str, whose: str) -> tuple[list[Call], list[str]]:
    counted = [value for call in calls if (value := getattr(call, field))]
    missing = len(calls) - len(counted)
    if not missing:
        return list(calls), []
    kind = field.removesuffix("_tokens")
    seen = [call for call in calls if call.prompt_chars] if field == "prompt_tokens" else []
    if not counted and len(seen) < len(calls):
        raise BadInput(
            f"none of the {len(calls)} calls of {whose} has a count of its {kind} tokens, so their "
            f"latency cannot be estimated; {_FIX}"
        )
    mean = round(fmean(counted)) if counted else 0
    note = f"{missing} of {len(calls)} calls of {whose} have no count of {kind} tokens: "
    note += (
        f"estimated at {CHARS_PER_TOKEN:g} characters a token"
        if seen
        else f"taken as {mean}, the mean of the others"
    )
    return [_filled(call, field, mean) for call in calls], [note]


def _filled(call: Call, field: str, mean: int) -> Call:
    if getattr(call, field):
        return call
    if field == "prompt_tokens" and call.prompt_chars:
        mean = max(1, round(call.prompt_chars / CHARS_PER_TOKEN))
    return msgspec.structs.replace(call, **{field: mean})
