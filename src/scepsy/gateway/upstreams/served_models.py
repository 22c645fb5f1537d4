"""Models that engines serve besides the routed LLMs: adapters, and further names of an LLM."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from scepsy.gateway.upstreams.upstream import ModelEntry, Upstream, Upstreams
from scepsy.gateway.wire.lenient_json import elements, members, read_object, text

# Seconds between two rounds: calls of made-up names must not become a load on engines.
_REFRESH_INTERVAL = 1.0
_TIMEOUT = aiohttp.ClientTimeout(total=2.0)
_LIST_BYTES_MAX = 1 << 20
_MODELS_MAX = 1024  # of one engine; what it lists beyond is not routed


@dataclass(slots=True)
class ServedModels:
    """Asks each engine's GET /v1/models, at most once in a while. Endpoints that somebody else runs
    are not asked: what they serve besides the routed LLM was not put behind this gateway.
    """

    upstreams: Upstreams
    session: aiohttp.ClientSession
    clock: Callable[[], float]
    _asked: float = float("-inf")
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def refresh(self) -> None:
        """Asks all engines, unless they were asked just now."""
        ours = [one for one in self.upstreams.routed if not one.route.hosted]
        async with self._lock:
            now = self.clock()
            is_new = any(one.models is None and one.healthy for one in ours)
            if not is_new and now - self._asked < _REFRESH_INTERVAL:
                return
            self._asked = now
            await asyncio.gather(*(self._ask(one) for one in ours if one.healthy))
            self.upstreams.index_aliases()

    def list_models(self, created: int) -> list[ModelEntry]:
        """The routed LLMs, then what the engines serve besides, as GET /v1/models tells them."""
        routed = [self._routed_entry(llm, created) for llm in self.upstreams.llms]
        return routed + [self._entry(name) for name in self.upstreams.aliases]

    def _routed_entry(self, llm: str, created: int) -> ModelEntry:
        group = self.upstreams.of(llm)
        told = self._entry(llm)
        context = next((one.route.max_context for one in group if one.route.max_context), None)
        return {
            "id": llm,
            "object": "model",
            "created": created,
            "owned_by": "scepsy",
            "root": told.get("root", llm),
            "parent": told.get("parent"),
            "max_model_len": told.get("max_model_len", context),
        }

    def _entry(self, name: str) -> ModelEntry:
        """What the first engine that lists this name says of it."""
        listed = ((one.models or {}).get(name) for one in self.upstreams.of(name))
        return next((entry for entry in listed if entry is not None), ModelEntry())

    async def _ask(self, upstream: Upstream) -> None:
        """What an engine does not tell stays as it was."""
        try:
            async with self.session.get(
                upstream.address("/v1/models"), timeout=_TIMEOUT, allow_redirects=False
            ) as response:
                if response.status != 200:
                    upstream.models = upstream.models or {}
                    return
                body = await response.content.read(_LIST_BYTES_MAX)
                while not response.content.at_eof() and len(body) < _LIST_BYTES_MAX:
                    body += await response.content.read(_LIST_BYTES_MAX)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            upstream.models = upstream.models or {}
            return
        listing = read_object(body)
        entries = [] if listing is None else elements(listing.value("data"))[:_MODELS_MAX]
        told = ((text(members(entry).get("id")), members(entry)) for entry in entries)
        upstream.models = {name: entry for name, entry in told if name is not None}
