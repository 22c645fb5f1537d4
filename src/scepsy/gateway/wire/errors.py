"""Errors that the gateway itself answers, in OpenAI's shape."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from scepsy.gateway.names import name_instead
from scepsy.gateway.wire.sse import event_of

_NAMED_MAX = 20  # models that an error names


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error answer. `param` names the field of the request that it is about; `retry_after` is in
    seconds. `closes`: the caller should send its next request on another connection.
    """

    status: int
    message: str
    code: str
    param: str | None = None
    retry_after: int | None = None
    closes: bool = False

    @property
    def type(self) -> str:
        if self.status == 429:
            return "rate_limit_error"
        return "server_error" if self.status >= 500 else "invalid_request_error"

    def body(self) -> bytes:
        fields = {"message": printable(self.message), "type": self.type, "param": self.param}
        return msgspec.json.encode({"error": {**fields, "code": self.code}})


def error_event(refusal: ErrorAnswer, *, named: bool) -> bytes:
    """An error as the last event of a stream. `named`: in Anthropic's form, whose clients know an
    error by the event's name.
    """
    data = refusal.body()
    if not named:
        return event_of(data)
    return b"event: error\n" + event_of(b'{"type":"error",' + data[1:])


def printable(text: str) -> str:
    """The text with characters that UTF-8 cannot encode (lone surrogates) written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def malformed(message: str, param: str | None = None) -> ErrorAnswer:
    return ErrorAnswer(400, message, "invalid_request", param)


def unknown_path(method: str, path: str) -> ErrorAnswer:
    return ErrorAnswer(404, f"the gateway does not serve {method} {path}", "not_found")


def unknown_llm(name: str, known: Iterable[str]) -> ErrorAnswer:
    names = sorted(known)
    served = ", ".join(names[:_NAMED_MAX]) or "none"
    if len(names) > _NAMED_MAX:
        served += f" and {len(names) - _NAMED_MAX} more"
    message = f"the model {name_instead(name)!r} does not exist; the gateway serves {served}"
    return ErrorAnswer(404, message, "model_not_found", "model")


def overloaded(limit: int) -> ErrorAnswer:
    return ErrorAnswer(
        429, f"{limit} calls are in flight, which is the limit; try again later", "overloaded"
    )


def rate_limited(llm: str, wait: float) -> ErrorAnswer:
    message = f"the endpoint of {llm!r} takes no more calls for {wait:.0f} s (rate_limit)"
    return ErrorAnswer(429, message, "rate_limit_exceeded", retry_after=math.ceil(wait))


def closing() -> ErrorAnswer:
    """The caller may find another gateway at the same address, on a new connection."""
    what = "this gateway is about to stop and takes no new calls"
    return ErrorAnswer(503, what, "closing", retry_after=1, closes=True)


def unanswered(llm: str, why: Iterable[str]) -> ErrorAnswer:
    reasons = "; ".join(why) or "none is routed"
    return ErrorAnswer(503, f"no replica of {llm!r} answers: {reasons}", "no_replica")


def broken_off(replica: str, why: str) -> ErrorAnswer:
    return ErrorAnswer(
        502, f"{replica} broke off in the middle of its answer: {why}", "engine_died"
    )


def unreadable_answer(llm: str, why: Iterable[str]) -> ErrorAnswer:
    message = f"the answer for {llm!r} could not be read: {'; '.join(why)}"
    return ErrorAnswer(502, message, "unreadable_answer")


def given_up(llm: str, why: Iterable[str]) -> ErrorAnswer:
    message = f"{llm!r}: the connection was lost every time this call was sent: {'; '.join(why)}"
    return ErrorAnswer(502, message, "engine_died")


def stalled(llm: str, why: Iterable[str]) -> ErrorAnswer:
    message = f"{llm!r}: no replica has begun to answer this call in time: {'; '.join(why)}"
    return ErrorAnswer(504, message, "engine_hung")


def quarantined(llm: str, wait: float) -> ErrorAnswer:
    message = (
        f"{llm!r}: two replicas died while they had this very call; it is not sent to another one "
        f"for {wait:.0f} s"
    )
    return ErrorAnswer(502, message, "engine_died")


def unsupported_encoding(why: str, known: Iterable[str]) -> ErrorAnswer:
    message = f"the body cannot be read: {why}; known encodings are {', '.join(known)}"
    return ErrorAnswer(415, message, "unsupported_encoding")
