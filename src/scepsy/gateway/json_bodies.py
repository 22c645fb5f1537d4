"""Reads and writes the JSON bodies of the gateway's own endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from scepsy.gateway.http.messages import HttpResponse
from scepsy.gateway.wire.errors import ErrorAnswer, malformed

T = TypeVar("T")


def read_json(body: bytes, record_type: type[T]) -> T | ErrorAnswer:
    """The body as a record, or the error that says what is wrong with it."""
    try:
        return msgspec.json.decode(body, type=record_type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return malformed(str(error))


def json_answer(value: object, status: int = 200) -> HttpResponse:
    body = msgspec.json.encode(value)
    return HttpResponse(status=status, body=body, content_type="application/json")


def not_json(headers: Mapping[str, str]) -> ErrorAnswer | None:
    """The error for a body that is not declared as JSON. A page of any site may make a browser send
    the other types without asking the server first.
    """
    declared = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if declared == "application/json" or (
        declared.startswith("application/") and declared.endswith("+json")
    ):
        return None
    return ErrorAnswer(
        415, "send the body as JSON, with Content-Type: application/json", "unsupported_media_type"
    )
