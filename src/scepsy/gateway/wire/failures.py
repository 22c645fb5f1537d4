"""Finds failures that an answer reports, whatever its HTTP status, and their message."""

from __future__ import annotations

from scepsy.gateway.wire.lenient_json import (
    Json,
    JsonObject,
    compact,
    elements,
    members,
    read_object,
    text,
)
from scepsy.gateway.wire.sse import EventSplitter, read_event

_LONGEST_MESSAGE = 300  # characters of an error that are kept
_UNNAMED = "unnamed error"
_FAILED_TYPES = ("error", "response.failed", "response.error", "response.cancelled")
_FAILED_STATUSES = ("failed", "cancelled")
_FAILED_FINISHES = ("error", "abort")
_WORDS = (
    "message",
    "msg",
    "detail",
    "error_msg",
    "error_message",
    "reason",
    "error",
    "type",
    "code",
)
_SUSPICIOUS = frozenset(
    {
        *("error", "errors", "type", "response", "status", "status_code", "success"),
        *("message", "msg", "detail", "error_msg", "error_message", "code"),
    }
)
_SUCCESS_CODES = (None, "", 0, 200, "0", "200", "success", "ok")
# Any of these fields means that there is an answer, whatever the other fields are.
_PAYLOAD = ("choices", "output", "data", "results", "rankings", "embeddings", "scores", "score",
            "delta", "response", "item", "part", "usage", "content", "text")  # fmt: skip


def failure_in(answer: JsonObject) -> str | None:
    """The error that an answer, or an event of one, reports; None if it reports none.

    An answer that was cut at its token limit ("incomplete") has not failed.
    """
    if answer.lacks_all(_SUSPICIOUS) and answer.value("object") != "error":
        return None  # nearly every answer
    if "error" in answer:
        error = answer.value("error")
        if error or (error in ("", {}) and not _has_payload(answer)):
            return _message_of(error) or _top_message(answer) or _UNNAMED
    kind = answer.value("type") if "type" in answer else None
    if kind in _FAILED_TYPES or ("object" in answer and answer.value("object") == "error"):
        return _top_message(answer) or (kind if isinstance(kind, str) else _UNNAMED)
    if "response" in answer and (why := _failed_response(members(answer.value("response")))):
        return why
    if "status" in answer and answer.value("status") in _FAILED_STATUSES:
        return _top_message(answer) or f"status {answer.value('status')}"
    if kind is None and not _has_payload(answer):
        return _bare_failure(answer)
    return None


def failed_choice(choice: dict[str, Json]) -> str | None:
    """The error that a choice of a chat or completion reports."""
    if choice.get("error"):
        return _message_of(choice["error"]) or _UNNAMED
    finish = choice.get("finish_reason")
    return f"finish_reason {finish}" if finish in _FAILED_FINISHES else None


def failure_of_event(data: bytes) -> str:
    """The message of an event whose name is "error"."""
    answer = read_object(data)
    found = None if answer is None else (failure_in(answer) or _top_message(answer))
    return found or _beginning(data) or _UNNAMED


def error_message(status: int, body: bytes) -> str:
    """The error message of a failed answer."""
    answer = read_object(body)
    if answer is not None:
        said = _spoken(answer.value("error")) or _top_message(answer)
        if said:
            return said
    return _beginning(body) or f"status {status}"


def streamed_error(content: bytes) -> bytes:
    """What a failed answer that is a stream says first: the data of its first event."""
    events = EventSplitter().feed(content)
    return read_event(events[0])[0] if events else content


def is_openai_error(body: bytes) -> bool:
    """Whether a failed answer has the shape that clients of the OpenAI API read."""
    answer = read_object(body)
    return answer is not None and isinstance(members(answer.value("error")).get("message"), str)


def _failed_response(response: dict[str, Json]) -> str | None:
    """The error that an event of a /v1/responses stream reports for the whole response."""
    if response.get("error"):
        return _message_of(response["error"]) or _UNNAMED
    status = response.get("status")
    return f"the response's status is {status}" if status in _FAILED_STATUSES else None


def _bare_failure(answer: JsonObject) -> str | None:
    """An error of a server or proxy in a shape of its own, in place of an answer."""
    code = next((answer.value(name) for name in ("code", "status_code") if name in answer), None)
    has_message = any(text(answer.value(name)) for name in ("message", "msg"))
    failed = (
        (has_message and code not in _SUCCESS_CODES[1:])
        or bool(answer.value("detail"))
        or bool(answer.value("errors"))
        or answer.value("success") is False
        or code not in _SUCCESS_CODES
    )
    if not failed:
        return None
    listed = next(iter(elements(answer.value("errors"))), None)
    return _top_message(answer) or _message_of(listed) or _UNNAMED


def _top_message(answer: JsonObject) -> str | None:
    """The message among the answer's own fields, or of the response that it is about."""
    for name in ("message", "msg", "detail", "error_msg", "error_message"):
        if name in answer and (said := _message_of(answer.value(name))):
            return said
    if "response" in answer and (why := _failed_response(members(answer.value("response")))):
        return why
    code = answer.value("code")
    return f"code {compact(code)}"[:_LONGEST_MESSAGE] if code else None


def _message_of(error: Json) -> str | None:
    """The message of an error, from its most specific field; its JSON if it has no message."""
    return _spoken(error) or (
        compact(error)[:_LONGEST_MESSAGE] if error and error is not True and _tells(error) else None
    )


def _spoken(error: Json) -> str | None:
    if isinstance(error, str):
        return error[:_LONGEST_MESSAGE].strip() or None
    for name in _WORDS:
        said = members(error).get(name)
        if isinstance(said, str) and said.strip():
            return said[:_LONGEST_MESSAGE].strip()
    return None


def _tells(error: Json) -> bool:
    """Whether anything within it is not null or empty."""
    inner = [*members(error).values(), *elements(error)]
    return any(_tells(one) for one in inner) if isinstance(error, dict | list) else bool(error)


def _has_payload(answer: JsonObject) -> bool:
    return any(map(answer.has, _PAYLOAD))


def _beginning(body: bytes) -> str:
    return body[:_LONGEST_MESSAGE].decode(errors="replace").strip()


def begins_with_failure(first: bytes, *, streams: bool) -> bool:
    """Whether a body, or the first whole event of a stream, reports a failure."""
    if b"rror" not in first and b"fail" not in first:  # no word for it: nothing to decode
        return False
    data = first
    if streams:
        events = EventSplitter().feed(first) or [first]
        data, named_error = read_event(events[0])
        if named_error:
            return True
    answer = read_object(data)
    return answer is not None and failure_in(answer) is not None
