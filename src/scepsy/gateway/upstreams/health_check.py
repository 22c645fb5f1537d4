"""Asks a server for its health, and reads no more of the answer than its status."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from urllib.parse import unquote, urlsplit

_LINE_BYTES_MAX = 1024
_STATUS = re.compile(rb"HTTP/1\.\d ([1-9]\d\d)(?!\d)")


async def ask_health(url: str, within: float) -> int | None:
    """The HTTP status of the server's GET /health; 0 if it answers something else, and None if it
    gives no answer within that many seconds. Redirects are not followed.

    An HTTP client would read headers and a body, follow what they say, and fail in many ways. This
    reads at most one line.
    """
    try:
        async with asyncio.timeout(within):
            line = await _first_line(url)
    except (OSError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
        return None
    except ValueError:  # a line without end
        return 0
    status = _STATUS.match(line)
    return int(status[1]) if status is not None else 0


async def _first_line(url: str) -> bytes:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(
        parts.hostname, port, ssl=secure or None, limit=_LINE_BYTES_MAX
    )
    try:
        writer.write(_request(url))
        line = await reader.readline()
    finally:
        writer.transport.abort()
    if not line:
        raise asyncio.IncompleteReadError(b"", None)
    return line


def _request(url: str) -> bytes:
    parts = urlsplit(url)
    path = parts.path.rstrip("/").removesuffix("/v1") + "/health"
    host = parts.netloc.rpartition("@")[2]
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        head += f"Authorization: Basic {b64encode(pair).decode()}\r\n"
    return head.encode() + b"\r\n"
