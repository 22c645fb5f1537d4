"""What was seen: the calls of one run of a workflow."""

from __future__ import annotations

from typing import Literal

from scepsy.core.record import Record

Endpoint = Literal["chat", "completions", "responses", "embeddings", "rerank", "score"]
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

    Times are Unix seconds (imported ones may count from the run's beginning); None is unknown,
    never guessed.

    Attributes:
        call: identifier of this call.
        run, workflow: the run it belongs to, and the workflow of that run.
        layer: what tied it to the run, with `confidence` between 0 and 1; "import": a foreign
            trace said so.
        llm: the name that was asked for.
        endpoint: which kind of request.
        start: arrival at the gateway. `dispatched`: sent to an engine. `first_token`: first byte of
            the answer.
        end: last byte of the answer, or when it failed; equal to `start` where an imported call
            tells no duration.
        status: HTTP status given to the caller; 499 when the caller went away.
        error: what went wrong, None when nothing did.
        stream: whether the caller asked for a stream.
        items: inputs of an embedding, documents of a rerank, else 1.
        max_tokens: the caller's limit on output tokens.
        prompt_digest, output_digest: hash of the prompt and of the answer.
        prompt_blocks: chained hashes of the prompt's blocks of `BLOCK_CHARS` characters. Equal
            leading hashes mean an equal prefix, so a replay keeps prefix sharing without content.
        prompt_chars: length of the prompt in characters.
        openings: chained hashes of the prompt's first words, `OPENING_WORDS` of them, as far as it
            has so many. Prompts that hold an answer already have others than those that do not.
        replica: who served it. attempts: engines tried.
        request, response: bodies, only where content recording was asked for.
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
    request: str | None = None
    response: str | None = None

    @property
    def duration(self) -> float:
        return self.end - self.start

    @property
    def timed(self) -> bool:
        """Whether it is known how long it took."""
        return self.end > self.start

    @property
    def ok(self) -> bool:
        return self.error is None and 200 <= self.status < 300


BLOCK_CHARS = 256
OPENING_WORDS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256)


class RunMark(Record, frozen=True, kw_only=True):
    """When a run began and ended, as whoever started it knows."""

    run: str
    workflow: str
    start: float
    end: float
    ok: bool = True
    error: str | None = None


class Trace(Record, frozen=True, kw_only=True):
    """One run of a workflow: its calls in order of their start."""

    run: str
    workflow: str
    start: float
    end: float
    calls: tuple[Call, ...]
    ok: bool = True

    @property
    def latency(self) -> float:
        return self.end - self.start
