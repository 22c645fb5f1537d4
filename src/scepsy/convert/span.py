"""What every foreign format is first turned into: spans, some of which are LLM calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scepsy.core.trace import Endpoint

GENERATES = ("chat", "completions", "responses")


@dataclass(frozen=True, slots=True)
class LlmRequest:
    """What was asked of an LLM, and what it cost. None is unknown.

    `first_token` is in Unix seconds. `weak`: the span looks like an LLM call, but may as well be
    around one or inside one; where there is such a call, that one counts.
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


def kind(asked: LlmRequest) -> str:
    """What two spans must agree in to tell of one call."""
    return "generate" if asked.endpoint in GENERATES else asked.endpoint


@dataclass(frozen=True, slots=True)
class Span:
    """One operation of a run.

    Attributes:
        id, parent: unique within `trace`; the parent may be outside of the file, or None.
        trace: what ties the spans of one run together. run: its name, where it has another.
        start, end: Unix seconds, or seconds since the run's beginning where no more is told.
            `end` is None where it never ended, and `start` where the format tells no durations.
        where: file and place, for messages.
        asked: None where this is no LLM call. `what` says what it is then.
        teller: which instrumentation told it, as far as the format says.
        workflow: the name that is told for the run's workflow. A guess, such as the name of a
            root span, has `workflow_guess` set instead.
        own: fields of `Call` that only our own export knows.
    """

    id: str
    trace: str
    start: float
    end: float | None
    where: str
    parent: str | None = None
    run: str | None = None
    asked: LlmRequest | None = None
    what: str = "other"
    teller: str | None = None
    workflow: str | None = None
    workflow_guess: str | None = None
    error: str | None = None
    own: Mapping[str, object] = field(default_factory=dict[str, object])
