"""One call on its way through the gateway, and its record."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import getrandbits

from scepsy.core.secrets import HIDDEN
from scepsy.core.trace import Call
from scepsy.gateway.identity.labels import Identity
from scepsy.gateway.identity.lineage import Clues
from scepsy.gateway.identity.prompt_openings import goes_on, openings
from scepsy.gateway.wire.answers import AnswerRecord
from scepsy.gateway.wire.errors import printable
from scepsy.gateway.wire.prompts import digest, prompt_blocks, prompt_text
from scepsy.gateway.wire.requests import ApiRequest
from scepsy.store.traces import CALLER_LEFT

_ISSUING = (b"call", b"response", b"tool_use")  # words beside the ids that answers issue


def _new_id() -> str:
    """128 random bits. Nobody can do anything with a guessed one, so the kernel is not asked."""
    return f"{getrandbits(128):032x}"


@dataclass(slots=True)
class Exchange:
    """A call and its outcome so far. Times are Unix seconds.

    Attributes:
        needs_text: whether the answer's text is needed, for the record or to recognise quotations;
            otherwise only the ids that it issues are.
        replica_lost: whether the replica was lost in the middle of its answer.
        cut_at: replica that ended, or was given up, with the call in flight, where no other one
            could serve it; empty where the call was not cut.
        kept: the answer's bytes, if content is to be recorded.
        home: the replica that has what the call continues, and should get it.
        secrets: the caller's credentials, which must not be recorded.
    """

    asked: ApiRequest
    body: bytes
    identity: Identity
    clues: Clues
    start: float
    answer: AnswerRecord = field(default_factory=AnswerRecord)
    needs_text: bool = True
    kept: list[bytes] | None = None
    secrets: tuple[str, ...] = ()
    dispatched: float | None = None
    first_token: float | None = None
    status: int = 500
    error: str | None = None
    replica: str | None = None
    cut_at: str = ""
    attempts: int = 0
    replica_lost: bool = False
    home: str | None = None
    id: str = field(default_factory=_new_id)

    def fail(self, status: int, why: str) -> None:
        self.status, self.error = status, why

    def caller_left(self) -> None:
        self.fail(CALLER_LEFT, "the caller went away")

    def wants(self, content: bytes) -> bool:
        """Whether this part of the answer has to be decoded."""
        return self.needs_text or any(word in content for word in _ISSUING)

    def keep(self, content: bytes) -> None:
        if self.kept is not None:
            self.kept.append(content)


def call_of(exchange: Exchange, end: float, sample: float) -> Call:
    """The record of a call that ended, where the fraction `sample` of runs is recorded. Only
    calls have an endpoint, and a record.
    """
    assert exchange.asked.endpoint is not None
    asked, identity = exchange.asked, exchange.identity
    answer = exchange.answer
    prompt = exchange.clues.prompt or prompt_text(asked.endpoint, asked.fields)
    error = exchange.error or answer.error
    kept = None if exchange.kept is None else b"".join(exchange.kept)

    def safe(text: str) -> str:
        for secret in exchange.secrets:
            text = text.replace(secret, HIDDEN)
        return text

    return Call(
        call=exchange.id,
        run=identity.run or "",
        workflow=identity.workflow or "",
        llm=asked.llm,
        endpoint=exchange.asked.endpoint,
        start=exchange.start,
        end=max(end, exchange.start),
        status=exchange.status,
        layer=identity.layer,
        confidence=identity.confidence,
        dispatched=exchange.dispatched,
        first_token=exchange.first_token,
        prompt_tokens=answer.prompt_tokens,
        cached_tokens=answer.cached_tokens,
        output_tokens=answer.output_tokens,
        error=None if error is None else safe(printable(error)),
        stream=asked.stream,
        items=asked.items,
        max_tokens=asked.max_tokens,
        prompt_digest=digest(prompt),
        output_digest=answer.digest,
        prompt_blocks=prompt_blocks(prompt),
        prompt_chars=len(prompt),
        openings=openings(prompt, goes_on(asked.fields)),
        replica=exchange.replica,
        attempts=exchange.attempts,
        sample=sample,
        request=None if kept is None else safe(exchange.body.decode(errors="replace")),
        response=None if kept is None else safe(kept.decode(errors="replace")),
    )
