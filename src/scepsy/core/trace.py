"""What was seen: the calls of one run of a workflow."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from scepsy.core.record import Record

Endpoint = Literal[
    "chat",
    "completions",
    "responses",
    "messages",
    "embeddings",
    "pooling",
    "classify",
    "rerank",
    "score",
]
Layer = Literal[
    "header",
    "url",
    "baggage",
    "metadata",
    "auto",
    "traceparent",
    "session",
    "echo",
    "quote",
    "time",
    "template",
    "import",
    "none",
]


class Call(Record, frozen=True, kw_only=True):
    """One LLM invocation as the gateway saw it.

    Times are Unix seconds; imported ones may count from the start of the run. None means unknown:
    nothing is guessed.

    Attributes:
        call: identifier of this call.
        run, workflow: the run to which it belongs, and the workflow of that run.
        layer: the sign by which it was assigned to the run (docs, Gateway); "import" if a foreign
            trace said so.
        confidence: how reliable that sign is, from 0 to 1.
        llm: the name that was asked for.
        endpoint: the kind of request.
        start: when it arrived at the gateway.
        dispatched: when it was sent to an engine.
        first_token: when the first byte of the answer came.
        end: when the last byte of the answer came, or when the call failed. Equal to `start` if an
            imported call has no duration.
        status: HTTP status given to the caller; 499 if the caller left.
        error: what went wrong; None if nothing did.
        stream: whether the caller asked for a stream.
        items: number of inputs of an embedding or documents of a rerank; otherwise 1.
        max_tokens: the caller's limit on output tokens.
        prompt_tokens: tokens of the prompt, as the engine reported them.
        cached_tokens: prompt tokens that the engine found in its prefix cache.
        output_tokens: tokens of the answer.
        prompt_digest, output_digest: hash of the prompt and of the answer.
        prompt_blocks: chained hashes of the prompt's blocks of `BLOCK_CHARS` characters. Equal
            leading hashes mean an equal prefix, so a replay keeps prefix sharing without content.
        prompt_chars: length of the prompt in characters.
        openings: how the prompt begins: chained hashes of its first 2, 3, 4, ... words
            (`OPENING_WORDS`). They differ between prompts with and without an earlier answer.
        replica: name of the replica that answered.
        attempts: how often the call was sent, to all replicas together.
        sample: fraction of runs that were recorded when this one was; 1 unless the gateway was told
            to record fewer (`sample`). A recorded run stands for `1 / sample` runs.
        request, response: bodies, only if content was recorded (`--record-content`).
    """

    call: str
    run: str
    workflow: str
    llm: str
    endpoint: Endpoint
    start: float
    end: float
    status: int
    layer: Layer = "none"
    confidence: float = 0.0
    dispatched: float | None = None
    first_token: float | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    error: str | None = None
    stream: bool = False
    items: int = 1
    max_tokens: int | None = None
    prompt_digest: str = ""
    output_digest: str = ""
    prompt_blocks: tuple[str, ...] = ()
    prompt_chars: int = 0
    openings: tuple[str, ...] = ()
    replica: str | None = None
    attempts: int = 1
    sample: Annotated[float, Meta(gt=0, le=1)] = 1.0
    request: str | None = None
    response: str | None = None

    @property
    def duration(self) -> float:
        return self.end - self.start

    @property
    def timed(self) -> bool:
        """Whether its duration is known."""
        return self.end > self.start

    @property
    def generates(self) -> bool:
        """Whether it asks for text."""
        return self.endpoint in ("chat", "completions", "responses", "messages")

    @property
    def ok(self) -> bool:
        return self.error is None and 200 <= self.status < 300


BLOCK_CHARS = 256
"""Characters of a prompt per hashed block."""
OPENING_WORDS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256)
"""Numbers of words after which the beginning of a prompt is hashed."""


class RunMark(Record, frozen=True, kw_only=True):
    """When a run began and ended, as reported by the process that started it.

    Attributes:
        run, workflow: the run, and the workflow of that run.
        start, end: Unix seconds.
        ok: whether the run succeeded.
        error: what went wrong; None if nothing did.
    """

    run: str
    workflow: str
    start: float
    end: float
    ok: bool = True
    error: str | None = None


class Trace(Record, frozen=True, kw_only=True):
    """One run of a workflow.

    Attributes:
        run, workflow: the run, and its workflow.
        start, end: Unix seconds.
        calls: its calls in order of their start.
        ok: whether the run succeeded.
    """

    run: str
    workflow: str
    start: float
    end: float
    calls: tuple[Call, ...]
    ok: bool = True

    @property
    def latency(self) -> float:
        return self.end - self.start
