"""Whether a gateway asks for API keys, and the gate that does."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from contextlib import AsyncExitStack, suppress

from scepsy.errors import BadInput
from scepsy.gateway.access.gate import Gate
from scepsy.gateway.access.key_directory import KeyDirectory
from scepsy.gateway.access.stores import open_store
from scepsy.gateway.config import KeysConfig


def keys_are_asked_for(mode: str, host: str) -> bool:
    """By default keys are asked for where other machines can reach the gateway."""
    return mode == "on" or (mode == "auto" and not is_loopback(host))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens at `host`."""
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


async def open_gate(config: KeysConfig, host: str, stack: AsyncExitStack) -> Gate | None:
    """The gate, or None where no keys are asked for. `stack` closes it.

    Raises:
        BadInput: keys are asked for, and there is no store, or it is not one.
        NotFound: the extra is not installed.
        Unreachable: the store does not answer.
    """
    if not keys_are_asked_for(config.mode, host):
        return None
    if config.store is None:
        raise BadInput(
            "this gateway asks for API keys, because other machines can reach it; say where they "
            "are (--keys-store), or that none are needed (--keys off)"
        )
    store = await asyncio.to_thread(open_store, config.store)
    stack.callback(store.close)
    directory = KeyDirectory(store, config.refresh, config.offline, time.monotonic, time.time)
    await directory.load()
    following = asyncio.create_task(directory.follow())
    stack.push_async_callback(_ended, following)
    return Gate(directory, time.monotonic)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
