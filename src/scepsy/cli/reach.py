"""Asks whether somebody listens at a URL, before anything is started that would need it."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from scepsy.errors import BadInput, Unreachable


async def check_reachable(flag: str, url: str, patience: float = 5.0) -> None:
    """Raises BadInput unless `url` is an http(s) URL, Unreachable where nobody takes the call."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{flag} {url!r} is not an http:// or https:// URL")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(patience):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except TimeoutError:
        raise Unreachable(f"{flag} {url}: no answer within {patience:g} s") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise Unreachable(f"{flag} {url} cannot be reached: {reason}; is it running?") from None
    writer.close()
    await writer.wait_closed()
