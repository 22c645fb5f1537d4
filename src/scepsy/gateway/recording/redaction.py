"""Removes from records what must not be kept: secrets, and what the configured patterns match."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec

from scepsy.core.secrets import HIDDEN, without_secrets
from scepsy.core.trace import Call
from scepsy.errors import BadInput

_TEXTS = frozenset(
    {"content", "text", "delta", "arguments", "partial_json", "reasoning_content", "thinking"}
)
"""Fields of a stream's events that hold a part of a longer text."""

_log = logging.getLogger(__name__)


def compiled(patterns: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    """The regular expressions. Raises BadInput for one that is none."""
    found: list[re.Pattern[str]] = []
    for index, pattern in enumerate(patterns):
        try:
            found.append(re.compile(pattern))
        except re.error as error:
            raise BadInput(
                f"recording.redact[{index}]: {pattern!r} is no regular expression: {error}"
            ) from None
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Redaction:
    """Redacts a record before it is written.

    Content and errors lose every text that looks like a secret, and every match of `patterns`;
    then `also` may change a text further. Where `also` fails, the record loses its content.

    Attributes:
        known: the secrets that the gateway itself sends to engines, at present.
    """

    patterns: tuple[re.Pattern[str], ...] = ()
    also: Callable[[str], str] | None = None
    known: Callable[[], Iterable[str]] = tuple

    def __call__(self, call: Call) -> Call:
        """The record without what must not be kept."""
        if call.error is None and call.request is None and call.response is None:
            return call
        try:
            return msgspec.structs.replace(
                call,
                error=self._text(call.error),
                request=self._body(call.request),
                response=self._body(call.response),
            )
        except Exception as error:  # noqa: BLE001 - the callable is the user's
            _log.error("redaction failed: %s; a call is kept without content", type(error).__name__)
            hidden = None if call.error is None else HIDDEN
            return msgspec.structs.replace(call, error=hidden, request=None, response=None)

    def _text(self, text: str | None) -> str | None:
        if text is None:
            return None
        text = without_secrets(text, self.known())
        for pattern in self.patterns:
            text = pattern.sub(HIDDEN, text)
        return text if self.also is None else self.also(text)

    def _body(self, body: str | None) -> str | None:
        """JSON is redacted text by text, so that escapes in it hide nothing. Of a stream, the whole
        text is looked at: where a match is spread over events, only that text is kept.
        """
        if body is None:
            return None
        if body.lstrip()[:6] in ("data: ", "event:") or body.startswith("data:"):
            spread = "".join(_parts(body))
            if self._text(spread) != spread:
                return self._text(spread)
        try:
            value = msgspec.json.decode(body)
            redacted = self._value(value)
        except (msgspec.DecodeError, RecursionError):
            return self._text(body)
        return self._text(body if redacted == value else msgspec.json.encode(redacted).decode())

    def _value(self, value: object) -> object:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._value(one) for one in cast(list[object], value)]
        if isinstance(value, dict):
            fields = cast(dict[str, object], value)
            return {self._text(name): self._value(one) for name, one in fields.items()}
        return value


def _parts(stream: str) -> Iterator[str]:
    """The texts in the events of a stream, in order."""
    for line in stream.splitlines():
        if line.startswith("data:"):
            try:
                yield from _texts(msgspec.json.decode(line[5:].strip()))
            except (msgspec.DecodeError, RecursionError):
                continue


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for one in cast(list[object], value):
            yield from _texts(one)
    elif isinstance(value, dict):
        for name, one in cast(dict[str, object], value).items():
            if isinstance(one, str):
                if name in _TEXTS:
                    yield one
            else:
                yield from _texts(one)
