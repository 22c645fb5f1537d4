"""Asks a running vLLM for its load, and sends it to sleep."""

from __future__ import annotations

import aiohttp

from scepsy.engines.load import EngineLoad, read_load
from scepsy.errors import Unreachable


async def load(http: aiohttp.ClientSession, url: str) -> EngineLoad:
    """What the engine at `url` is doing. Raises Unreachable."""
    return read_load(await _ask(http, "GET", f"{url}/metrics"))


async def sleep(http: aiohttp.ClientSession, url: str, *, level: int = 1) -> None:
    """Give the GPU's memory back: KV dropped, weights kept in the node's memory (level 1)
    or dropped (level 2). Needs `--enable-sleep-mode`. Raises Unreachable.
    """
    await _ask(http, "POST", f"{url}/sleep?level={level}")


async def wake(http: aiohttp.ClientSession, url: str) -> None:
    """Serve again. Raises Unreachable."""
    await _ask(http, "POST", f"{url}/wake_up")


async def is_sleeping(http: aiohttp.ClientSession, url: str) -> bool:
    """Raises Unreachable."""
    return '"is_sleeping":true' in await _ask(http, "GET", f"{url}/is_sleeping")


async def _ask(http: aiohttp.ClientSession, method: str, url: str) -> str:
    try:
        async with http.request(method, url) as response:
            text = await response.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable(f"{url} does not answer: {error}") from error
    if response.status != 200:
        raise Unreachable(f"{url} answered {response.status}: {text[:200]}")
    return text
