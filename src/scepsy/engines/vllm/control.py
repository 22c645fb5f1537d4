"""Reads the load of a running vLLM engine, and lets it sleep and wake."""

from __future__ import annotations

import aiohttp

from scepsy.engines.load import EngineLoad, read_load
from scepsy.errors import Unreachable


async def load(http: aiohttp.ClientSession, url: str) -> EngineLoad:
    """The load of the engine at `url`. Raises Unreachable."""
    return read_load(await _ask(http, "GET", f"{url}/metrics"))


async def sleep(http: aiohttp.ClientSession, url: str, *, level: int = 1) -> None:
    """Releases the engine's GPU memory. The KV cache is dropped. The weights are kept in the node's
    memory (level 1) or dropped too (level 2). Needs `--enable-sleep-mode`. Raises Unreachable.
    """
    await _ask(http, "POST", f"{url}/sleep?level={level}")


async def wake(http: aiohttp.ClientSession, url: str) -> None:
    """Lets the engine serve again. Raises Unreachable."""
    await _ask(http, "POST", f"{url}/wake_up")


async def is_sleeping(http: aiohttp.ClientSession, url: str) -> bool:
    """Whether the engine sleeps. Raises Unreachable."""
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
