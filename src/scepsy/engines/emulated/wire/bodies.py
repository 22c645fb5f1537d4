"""Reads JSON bodies and writes JSON and server-sent events."""

from __future__ import annotations

import json
import re
import uuid
from typing import TypeVar

import msgspec
from aiohttp import web

from scepsy.engines.emulated.wire.errors import RequestRefused

T = TypeVar("T")

MALFORMED = "Bad Request"
"""The type of vLLM's errors about requests that do not match the schema."""

_encoder = msgspec.json.Encoder()


def read_json(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decodes a body. Raises RequestRefused where it is not JSON, lacks a field, or has a field of
    the wrong type.
    """
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        message = f"1 validation error: {error}"
        raise RequestRefused(message, param=_param(body, str(error)), kind=MALFORMED) from error
    except UnicodeDecodeError as error:
        raise RequestRefused(f"The body is not UTF-8: {error}", kind=MALFORMED) from error


def reply(body: object) -> web.Response:
    return web.Response(body=_encoder.encode(body), content_type="application/json")


def event(body: object, *, name: str | None = None) -> bytes:
    """One server-sent event."""
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    return head + b"data: " + _encoder.encode(body) + b"\n\n"


DONE = b"data: [DONE]\n\n"


async def open_stream(request: web.Request) -> web.StreamResponse:
    headers = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    return response


def new_id(prefix: str, request: web.Request) -> str:
    """An identifier with the caller's X-Request-Id, or a random one where the request has none."""
    return f"{prefix}-{request.headers.get('X-Request-Id') or uuid.uuid4().hex}"


def _param(body: bytes, message: str) -> str:
    """The path of the field at fault, from "body", as in vLLM's errors; for a body that is not
    JSON, the position of the error.

    msgspec's messages end in "- at `$.field[0].inner`", and name a missing field before that.
    """
    try:
        json.loads(body or b"{}")
    except json.JSONDecodeError as error:
        return f"body.{error.pos}"
    except UnicodeDecodeError:
        return "body"
    _, _, path = message.rpartition("`$")
    parts = re.findall(r"\w+", path.rstrip("`") if "`$" in message else "")
    missing = re.search(r"required field `(\w+)`", message)
    return ".".join(("body", *parts, *(missing.groups() if missing and body else ())))
