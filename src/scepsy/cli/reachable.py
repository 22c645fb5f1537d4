"""Checks that a server listens at a URL, before anything is started that needs it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

from scepsy.core.secrets import public_url
from scepsy.errors import BadInput, Unreachable


async def check_reachable(flag: str, url: str, patience: float = 5.0) -> None:
    """Raises BadInput unless `url` is an http(s) URL, and Unreachable where no server accepts a
    connection within `patience` seconds.
    """
    host, port = _origin(flag, url)
    url = public_url(url)
    try:
        async with asyncio.timeout(patience):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        raise Unreachable(f"{flag} {url}: no answer within {patience:g} s") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise Unreachable(f"{flag} {url} cannot be reached: {reason}; is it running?") from None
    writer.close()
    with suppress(OSError):  # a server that accepts a connection may also reset it
        await writer.wait_closed()


def _origin(flag: str, url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadInput(f"{flag} {public_url(url)!r} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise BadInput(f"{flag} {public_url(url)!r} is not an http:// or https:// URL")
    return host, port or (443 if parts.scheme == "https" else 80)
