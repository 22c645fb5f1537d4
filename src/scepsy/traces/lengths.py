"""Fills in token counts that are missing from traces or cannot be true (pure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Literal

import msgspec

from scepsy.core.llm import LlmSpec
from scepsy.core.trace import Call, Trace
from scepsy.errors import BadInput

CHARS_PER_TOKEN = 4.0
"""Characters of English text per token, roughly, with the tokenizers of today's LLMs."""

Field = Literal["prompt_tokens", "output_tokens"]

_FIX = (
    "make the engine or the client report them (streams: stream_options.include_usage), "
    "or trace through the gateway, which asks for them"
)


def known_tokens(call: Call, field: Field) -> int | None:
    """The call's count; None where it is missing. A count of zero is taken as missing, because
    every prompt and every answer has at least one token, unless the caller allowed none.
    """
    count = call.prompt_tokens if field == "prompt_tokens" else call.output_tokens
    if count == 0 and (field == "prompt_tokens" or (call.generates and call.max_tokens != 0)):
        return None
    return count


def with_lengths(
    traces: Sequence[Trace], llms: Sequence[LlmSpec], *, required: bool = True
) -> tuple[tuple[Trace, ...], list[str]]:
    """The traces with token counts for every successful call, and a sentence for each LLM and
    workflow where some were missing.

    Where the characters of a prompt are known, its tokens are estimated from them. Other missing
    counts become the mean of the LLM's other calls in the same workflow. Failed calls, and calls of
    LLMs that are not described, stay as they are. So do calls of which none has a count, unless
    counts are `required`.

    Raises:
        BadInput: counts are required, and none of an LLM's calls in a workflow has one.
    """
    kinds = {llm.name: llm.kind for llm in llms}
    groups: defaultdict[tuple[str, str], list[Call]] = defaultdict(list)
    for trace in traces:
        for call in trace.calls:
            if trace.ok and call.ok and call.llm in kinds:
                groups[trace.workflow, call.llm].append(call)
    means: dict[tuple[str, str, Field], int] = {}
    notes: list[str] = []
    for (workflow, llm), calls in sorted(groups.items()):
        for field in _fields(kinds[llm]):
            missing = sum(known_tokens(call, field) is None for call in calls)
            if not missing:
                continue
            mean = _mean(calls, field)
            whose, kind = f"calls of {llm!r} in {workflow!r}", field.removesuffix("_tokens")
            if mean is not None:
                means[workflow, llm, field] = mean
                notes.append(
                    f"{missing} of {len(calls)} {whose} have no count of {kind} tokens: "
                    f"{_estimate(calls, field, mean)}"
                )
            elif required:
                raise BadInput(
                    f"none of the {len(calls)} {whose} has a count of its {kind} tokens, so their "
                    f"latency cannot be estimated; {_FIX}"
                )
    if not means:
        return tuple(traces), notes
    return tuple(_with_means(trace, means) for trace in traces), notes


def _mean(calls: Sequence[Call], field: Field) -> int | None:
    """Of the known counts; 0 where the characters of every prompt are known; None if there is
    neither.
    """
    counted = [tokens for call in calls if (tokens := known_tokens(call, field)) is not None]
    if counted:
        return round(fmean(counted))
    by_characters = field == "prompt_tokens" and all(call.prompt_chars for call in calls)
    return 0 if by_characters else None


def _estimate(calls: Sequence[Call], field: Field, mean: int) -> str:
    if field == "prompt_tokens" and any(call.prompt_chars for call in calls):
        return f"estimated at {CHARS_PER_TOKEN:g} characters a token"
    return f"taken as {mean}, the mean of the others"


def _fields(kind: str) -> tuple[Field, ...]:
    return ("prompt_tokens", "output_tokens") if kind == "generate" else ("prompt_tokens",)


def _with_means(trace: Trace, means: dict[tuple[str, str, Field], int]) -> Trace:
    if not trace.ok:
        return trace
    calls = tuple(_filled(call, trace.workflow, means) if call.ok else call for call in trace.calls)
    return msgspec.structs.replace(trace, calls=calls)


def _filled(call: Call, workflow: str, means: dict[tuple[str, str, Field], int]) -> Call:
    for field in _fields("generate"):
        mean = means.get((workflow, call.llm, field))
        if mean is None or known_tokens(call, field) is not None:
            continue
        if field == "prompt_tokens" and call.prompt_chars:
            mean = max(1, round(call.prompt_chars / CHARS_PER_TOKEN))
        call = msgspec.structs.replace(call, **{field: mean})
    return call
