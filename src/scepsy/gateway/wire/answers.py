"""Reads answers of the OpenAI API, whole or event by event: tokens, text, ids, errors.

Every field is read on its own, so that a field of unexpected shape affects no other field.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

from scepsy.gateway.wire.failures import failed_choice, failure_in, failure_of_event
from scepsy.gateway.wire.lenient_json import (
    Json,
    JsonObject,
    compact,
    elements,
    identifier,
    members,
    parse_any_encoding,
    read_object,
    read_small_object,
)
from scepsy.gateway.wire.plain_events import plain_text
from scepsy.gateway.wire.usage import TokenCounts

TEXT_BYTES_MAX = 1 << 16  # of an answer's text that are kept to recognise quotations
_TEXT_FIELDS = ("text", "thinking", "content", "refusal", "transcript", "partial_json")
_IDS_MAX = 1_024  # of one answer that are remembered
_NESTED_PARTS_MAX = 8  # levels of parts within parts that are read
_SCORES = ("data", "results", "rankings", "embeddings", "scores", "score")
_DONE = b"[DONE]"
_LAST_EVENTS = ("response.completed", "response.incomplete", "message_stop")
_PLAIN_DELTA = frozenset({"role", "content"})
_PLAIN_CHOICE = frozenset({"index", "delta", "logprobs", "finish_reason"})
_PLAIN_TRIES = 8  # events in a row that are not plain, after which a stream is not one of such
_GOOD_ENDS = (None, "stop", "length")


class AnswerRecord:
    """The parts of an answer that have been read so far.

    Attributes:
        tokens: the counts that the engine has reported.
        issued: ids that the caller may send back.
        error: the error that the answer itself reports.
        has_output: whether any output was seen.
        response: id of the response, if this is one of /v1/responses.
        ended: whether a stream has said that it is complete.
    """

    def __init__(self) -> None:
        self.tokens = TokenCounts()
        self.issued: list[str] = []
        self.response: str | None = None
        self.error: str | None = None
        self.has_output = False
        self.ended = False
        self._began = False
        self._plain_left = _PLAIN_TRIES
        self._hash = blake2b(digest_size=16)
        self._begin = bytearray()

    @property
    def lacks_end(self) -> bool:
        """Whether a stream of a known kind has begun and neither ended nor failed."""
        return self._began and not self.ended and self.error is None

    @property
    def prompt_tokens(self) -> int | None:
        return self.tokens.prompt

    @property
    def cached_tokens(self) -> int | None:
        return self.tokens.cached

    @property
    def output_tokens(self) -> int | None:
        return self.tokens.output

    @property
    def text(self) -> str:
        """The output, or the beginning of a very long one."""
        return self._begin.decode(errors="replace")

    @property
    def digest(self) -> str:
        """Hash of the output; empty if there is none. With one choice it is the same streamed or
        whole.
        """
        return self._hash.hexdigest() if self.has_output else ""

    def read_whole(self, body: bytes) -> None:
        """Reads an answer that came in one piece."""
        answer = read_object(body)
        if answer is None:
            self._read_no_object(body)
            return
        self._read(answer)
        for item in elements(answer.value("output")):
            self._read_item(members(item))
        if answer.value("object") == "response":
            self._issue_response(answer.value("id"))
        if answer.value("type") == "message":
            for block in elements(answer.value("content")):
                self._read_block(members(block))
        for name in _SCORES:
            self._add(answer.raw(name))

    def read_event(self, data: bytes, *, named_error: bool = False) -> None:
        """Reads the data of one server-sent event; `named_error`: its name is "error"."""
        if named_error:
            self.error = failure_of_event(data)
            return
        if data == _DONE:
            self.ended = True
            return
        if self._plain_left:
            text = plain_text(data)
            if text is not None:
                self._plain_left = _PLAIN_TRIES
                self._began = True
                self._add_text(text)
                return
            self._plain_left -= 1
        event = read_small_object(data)
        if event is None:
            return
        self._began = self._began or "choices" in event or "type" in event
        self._read(event)
        self.ended = self.ended or event.value("type") in _LAST_EVENTS
        if "delta" in event:
            self._add_text(_plain(event.value("delta")))
        if "response" in event:
            self._read_response(members(event.value("response")))
        if "content_block" in event:
            self._read_block(members(event.value("content_block")))
        if "message" in event:
            self.tokens.read(members(event.value("message")).get("usage"))

    def _read(self, answer: JsonObject) -> None:
        self.error = failure_in(answer) or self.error
        for choice in elements(answer.value("choices")):
            self._read_choice(members(choice))
        if "usage" in answer:
            self.tokens.read(answer.value("usage"))
        elif "x_groq" in answer:
            self.tokens.read(members(answer.value("x_groq")).get("usage"))
        elif "meta" in answer:  # Cohere
            self.tokens.read(members(answer.value("meta")).get("tokens"))

    def _read_choice(self, choice: dict[str, Json]) -> None:
        self.ended = self.ended or bool(choice.get("finish_reason"))
        delta = choice.get("delta")
        if isinstance(delta, dict) and delta.keys() <= _PLAIN_DELTA:
            content = delta.get("content")
            plain = choice.keys() <= _PLAIN_CHOICE and choice.get("finish_reason") in _GOOD_ENDS
            if plain and isinstance(content, str):  # nearly every event of a stream
                self._add_text(content)
                return
        self.error = failed_choice(choice) or self.error
        self._add_text(_plain(choice.get("text")))
        for message in (members(choice.get("message")), members(choice.get("delta"))):
            for piece in _pieces(message):
                self._add_text(piece)
            for call in elements(message.get("tool_calls")):
                self._issue(members(call).get("id"))

    def _read_response(self, response: dict[str, Json]) -> None:
        """Its text came before, in deltas."""
        self.tokens.read(response.get("usage"))
        for item in elements(response.get("output")):
            self._issue(members(item).get("call_id"))
        self._issue_response(response.get("id"))

    def _read_block(self, block: dict[str, Json]) -> None:
        """A part of an answer of /v1/messages, or its beginning in a stream."""
        if block.get("type") == "tool_use":
            self._issue(block.get("id"))
            self._add_text(_plain(block.get("name")))
        self._add_text(_plain(block))
        if block.get("input"):
            self._add_text(compact(block["input"]))

    def _read_item(self, item: dict[str, Json]) -> None:
        """An output of /v1/responses."""
        self._issue(item.get("call_id"))
        for part in elements(item.get("content")):
            self._add_text(_plain(part))
        self._add_text(_arguments(item.get("arguments")))

    def _read_no_object(self, body: bytes) -> None:
        """An answer that is a list (some rerankers), or that is not JSON."""
        self._add(body)
        try:
            parse_any_encoding(body)
        except ValueError:
            begin = body[:80].decode(errors="replace").strip()
            self.error = f"the answer is not JSON: {begin}" if begin else "the answer is empty"

    def _issue_response(self, value: Json) -> None:
        self.response = identifier(value) or self.response
        self._issue(value)

    def _issue(self, value: Json) -> None:
        issued = identifier(value)
        if issued is not None and len(self.issued) < _IDS_MAX:
            self.issued.append(issued)

    def _add_text(self, output: str) -> None:
        if output:
            self._add(output.encode("utf-8", "surrogatepass"))

    def _add(self, output: bytes) -> None:
        if output:
            self.has_output = True
            self._hash.update(output)
            self._begin += output[: TEXT_BYTES_MAX - len(self._begin)]


def _pieces(message: dict[str, Json]) -> Iterator[str]:
    """The texts of a message or of a delta, in the order in which they were written."""
    yield _plain(message.get("reasoning_content")) or _plain(message.get("reasoning"))
    yield _plain(message.get("content"))
    if "refusal" in message:
        yield _plain(message["refusal"])
    if "tool_calls" in message:
        for call in elements(message["tool_calls"]):
            yield from _function(members(members(call).get("function")))
    if "function_call" in message:
        yield from _function(members(message["function_call"]))


def _function(function: dict[str, Json]) -> Iterator[str]:
    yield _plain(function.get("name"))
    yield _arguments(function.get("arguments"))


def _arguments(value: Json) -> str:
    return value if isinstance(value, str) else "" if value is None else compact(value)


def _plain(value: Json, depth: int = 0) -> str:
    """The text of a value: a string, or parts that have texts."""
    if isinstance(value, str):
        return value
    if not value or depth > _NESTED_PARTS_MAX:
        return ""
    if isinstance(value, list):
        return "".join(_plain(part, depth + 1) for part in value)
    fields = members(value)
    return next((_plain(fields[name], depth + 1) for name in _TEXT_FIELDS if name in fields), "")
