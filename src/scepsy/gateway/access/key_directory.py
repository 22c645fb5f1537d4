"""The keys that a gateway knows: a copy of its store, which goes on where the store is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from scepsy.errors import ScepsyError
from scepsy.gateway.access.api_keys import ApiKey, digest_of
from scepsy.gateway.access.key_store import KeyStore
from scepsy.gateway.wire.errors import ErrorAnswer

_ASK_AGAIN = 0.5
"""Seconds between two questions for keys that the copy does not have: made-up keys must not become
a load on the store.
"""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class KeyDirectory:
    """Copies the store every `refresh` seconds. While it does not answer, known keys work for
    `offline` seconds.

    Attributes:
        clock: seconds that only grow.
        wall: Unix seconds, by which keys expire.
    """

    store: KeyStore
    refresh: float
    offline: float
    clock: Callable[[], float]
    wall: Callable[[], float]
    _by_digest: dict[str, ApiKey] = field(default_factory=dict[str, ApiKey])
    _read: float = float("-inf")
    _asked: float = float("-inf")
    _away: bool = False
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def load(self) -> None:
        """Copies the store. Raises as it does."""
        began = self.clock()
        self._take(await asyncio.to_thread(self.store.load))
        self._read = began

    async def follow(self) -> None:
        """Copies the store again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(self.refresh)
            async with self._lock:
                await self._try()

    async def find(self, secret: str) -> ApiKey | ErrorAnswer:
        """The key that this secret opens, or why it opens none."""
        digest = digest_of(secret)
        key = self._by_digest.get(digest)
        if key is None:
            await self._ask()
            key = self._by_digest.get(digest)
        if self.clock() - self._read > self.offline:
            return unavailable()
        if key is not None and key.opened_by(digest, self.wall()):
            return key
        return unavailable() if key is None and self._away else invalid_key()

    async def _ask(self) -> None:
        """Copies the store now, unless that was just done: the key may be new."""
        async with self._lock:
            if self.clock() - self._asked >= _ASK_AGAIN:
                await self._try()

    async def _try(self) -> None:
        self._asked = self.clock()
        try:
            await self.load()
        except ScepsyError as error:
            if not self._away:
                _log.warning("%s; known keys work for %g s", error, self.offline)
            self._away = True
            return
        if self._away:
            _log.warning("the store of keys answers again")
        self._away = False

    def _take(self, keys: Sequence[ApiKey]) -> None:
        self._by_digest = {one.digest: key for key in keys for one in key.hashes}


def invalid_key() -> ErrorAnswer:
    return ErrorAnswer(401, "the API key is missing or wrong", "invalid_api_key")


def unavailable() -> ErrorAnswer:
    return ErrorAnswer(
        503, "the gateway cannot check API keys now; try again later", "keys_unavailable", None, 5
    )
