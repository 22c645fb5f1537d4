"""Reads answers of the OpenAI API, whole or event by event: tokens, text, ids, errors."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import msgspec

MOST_TEXT = 1 << 16


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    input_tokens: int | None = None
    completion_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    id: str | None = None
    function: _Function | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    text: str | None = None
    message: _Message | None = None
    delta: _Message | None = None


class _Part(msgspec.Struct):
    text: str | None = None


class _Item(msgspec.Struct):
    """An output of /v1/responses."""

    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    content: list[_Part] | None = None


class _Error(msgspec.Struct):
    message: str = ""


class _Response(msgspec.Struct):
    """What an event of a /v1/responses stream says of the response as a whole."""

    id: str | None = None
    usage: _Usage | None = None
    output: list[_Item] | None = None
    error: _Error | str | None = None


class _Answer(_Response):
    """Any answer, or any event of one."""

    choices: list[_Choice] | None = None
    delta: str | None = None
    response: _Response | None = None
    object: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    results: msgspec.Raw = msgspec.Raw()
    message: str | None = None


_decoder = msgspec.json.Decoder(_Answer)


class AnswerRecord:
    """What is known so far of an answer.

    Attributes:
        prompt_tokens, cached_tokens, output_tokens: None while, or if, the engine does not tell.
        issued: ids that the caller may send back.
        error: what the answer itself says went wrong.
        has_output: whether any output was seen.
    """

    def __init__(self) -> None:
        self.prompt_tokens: int | None = None
        self.cached_tokens: int | None = None
        self.output_tokens: int | None = None
        self.issued: list[str] = []
        self.error: str | None = None
        self.has_output = False
        self._hash = blake2b(digest_size=16)
        self._begin = bytearray()

    @property
    def text(self) -> str:
        """The output, or the beginning of one that is very long."""
        return self._begin.decode(errors="replace")

    @property
    def digest(self) -> str:
        """Hash of the output, empty without any; of one choice, the same streamed or whole."""
        return self._hash.hexdigest() if self.has_output else ""

    def read_whole(self, body: bytes) -> None:
        """Reads an answer that came in one piece."""
        answer = _decode(body)
        if answer is None:
            self._add(body)
            return
        self._read(answer)
        self._read_output(answer.output)
        if answer.object == "response" and answer.id:
            self.issued.append(answer.id)

    def read_event(self, data: bytes) -> None:
        """Reads the data of one server-sent event."""
        event = _decode(data)
        if event is None:
            return
        self._read(event)
        if event.delta:
            self._add(event.delta.encode())
        if event.response is not None:
            self._read_response(event.response)

    def _read(self, answer: _Answer) -> None:
        self._read_usage(answer.usage)
        self._read_error(answer.error)
        for choice in answer.choices or ():
            for piece in _pieces(choice):
                self._add(piece.encode())
            message = choice.message or choice.delta
            if message is not None:
                calls = message.tool_calls or ()
                self.issued += [call.id for call in calls if call.id]
        for raw in (answer.data, answer.results):
            self._add(bytes(raw))

    def _read_response(self, response: _Response) -> None:
        """Its text came before, in deltas."""
        self._read_usage(response.usage)
        self._read_error(response.error)
        calls = [item.call_id for item in response.output or () if item.call_id]
        self.issued += [*calls, *([response.id] if response.id else [])]

    def _read_output(self, items: list[_Item] | None) -> None:
        for item in items or ():
            if item.call_id:
                self.issued.append(item.call_id)
            for part in item.content or ():
                self._add((part.text or "").encode())
            self._add((item.arguments or "").encode())

    def _read_usage(self, usage: _Usage | None) -> None:
        if usage is None:
            return
        output = _first(usage.completion_tokens, usage.output_tokens)
        rest = None if usage.total_tokens is None else usage.total_tokens - (output or 0)
        self.prompt_tokens = _first(usage.prompt_tokens, usage.input_tokens, rest)
        self.output_tokens = output
        details = usage.prompt_tokens_details or usage.input_tokens_details
        self.cached_tokens = None if details is None else details.cached_tokens

    def _read_error(self, error: _Error | str | None) -> None:
        if error is not None:
            self.error = (error if isinstance(error, str) else error.message) or "unnamed error"

    def _add(self, output: bytes) -> None:
        if output:
            self.has_output = True
            self._hash.update(output)
            if len(self._begin) < MOST_TEXT:
                self._begin += output


def error_message(status: int, body: bytes) -> str:
    """What a failed answer says of its failure."""
    answer = _decode(body)
    if answer is not None:
        error = answer.error
        said = (error.message if isinstance(error, _Error) else error) or answer.message
        if said:
            return said
    return body[:300].decode(errors="replace").strip() or f"status {status}"


def is_openai_error(body: bytes) -> bool:
    """Whether a failed answer has the shape that clients of the OpenAI API read."""
    answer = _decode(body)
    return answer is not None and isinstance(answer.error, _Error) and bool(answer.error.message)


def _pieces(choice: _Choice) -> Iterator[str]:
    yield choice.text or ""
    for message in (choice.message, choice.delta):
        if message is not None:
            yield message.reasoning_content or message.reasoning or ""
            yield message.content or ""
            for call in message.tool_calls or ():
                if call.function is not None:
                    yield call.function.name or ""
                    yield call.function.arguments or ""


def _decode(content: bytes) -> _Answer | None:
    """None where it is not the JSON that we know: others' bytes pass, read or not."""
    try:
        return _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)
