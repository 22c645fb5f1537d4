"""Tells a gateway when runs began and ended, and which of them failed."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

import aiohttp
import msgspec

from scepsy.core.trace import RunMark
from scepsy.errors import BadInput, Unreachable

_NOT_RECORDING = (404, 405, 409)
"""Status codes of another server, and of a gateway without a trace directory."""
_JSON = {"Content-Type": "application/json"}
_PATIENCE = aiohttp.ClientTimeout(total=10.0)
"""Seconds for one mark."""


async def post_marks(gateway_url: str, marks: Iterable[RunMark]) -> bool:
    """Posts each mark. Returns False where the server does not record: it is another server than
    our gateway, or a gateway without a trace directory.

    Raises:
        BadInput: the gateway refuses a mark.
        Unreachable: the gateway does not answer.
    """
    parts = urlsplit(gateway_url)
    url = f"{parts.scheme}://{parts.netloc}/scepsy/runs"
    async with aiohttp.ClientSession(timeout=_PATIENCE) as session:
        for mark in marks:
            body = msgspec.json.encode(mark)
            try:
                async with session.post(url, data=body, headers=_JSON) as answer:
                    if answer.status in _NOT_RECORDING:
                        return False
                    if not answer.ok:
                        raise BadInput(f"{url}: run {mark.run} not noted: {await answer.text()}")
            except (aiohttp.ClientError, TimeoutError) as error:
                raise Unreachable(f"{url} does not answer: {error}") from None
    return True
