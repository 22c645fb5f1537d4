"""Spans: every foreign format is first read as spans, some of which are LLM calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scepsy.core.trace import Endpoint

GENERATES = ("chat", "completions", "responses", "messages")
CACHED_ANSWER = "answer from a cache"
"""The kind of a span of a call that no LLM served."""


@dataclass(frozen=True, slots=True)
class LlmRequest:
    """The request of an LLM call, and the tokens that it used. None is unknown.

    Attributes:
        first_token: Unix seconds.
        weak: the evidence for an LLM call is weak: the span may also be around one or inside one.
            Where there is a call around or inside it, that one counts instead.
    """

    llm: str | None
    endpoint: Endpoint = "chat"
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    max_tokens: int | None = None
    stream: bool = False
    items: int = 1
    first_token: float | None = None
    weak: bool = False


def endpoint_group(request: LlmRequest) -> str:
    """Two spans can only record the same call if their endpoints are in the same group."""
    return "generate" if request.endpoint in GENERATES else request.endpoint


@dataclass(frozen=True, slots=True)
class Span:
    """One operation of a run.

    Attributes:
        id, parent: unique within `trace`. The parent is None for a root, and may be missing in the
            file.
        trace: identifier that the spans of one run share. run: the run's name where it has another.
        start, end: Unix seconds, or seconds since the run's beginning where the file has no dates.
            `end` is None if the span never ended, and equals `start` if the format has no
            durations.
        where: file and position, for messages.
        request: None for a span that is no LLM call; `kind` says what the span is then.
        instrumentation: the library that recorded the span, where the format names it.
        workflow: the workflow's name as the file states it. `workflow_guess`: a name that may
            serve instead, such as that of the root span.
        own: fields of `Call` that only our own export has.
    """

    id: str
    trace: str
    start: float
    end: float | None
    where: str
    parent: str | None = None
    run: str | None = None
    request: LlmRequest | None = None
    kind: str = "other"
    instrumentation: str | None = None
    workflow: str | None = None
    workflow_guess: str | None = None
    error: str | None = None
    own: Mapping[str, object] = field(default_factory=dict[str, object])
