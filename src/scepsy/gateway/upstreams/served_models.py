"""Further models that engines serve: adapters, and additional names of an LLM."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from scepsy.gateway.names import is_name
from scepsy.gateway.upstreams.upstream import ModelEntry, Upstream, Upstreams
from scepsy.gateway.wire.lenient_json import elements, members, read_object, text

# Seconds between two rounds: calls of made-up names must not become a load on engines.
_REFRESH_INTERVAL = 1.0
_TIMEOUT = aiohttp.ClientTimeout(total=2.0)
_LIST_BYTES_MAX = 1 << 20
_MODELS_MAX = 1024  # of one engine; further ones are not routed


@dataclass(slots=True)
class ServedModels:
    """Asks each engine's GET /v1/models, with a minimum time between two rounds. Endpoints that
    Scepsy does not start are not asked: their further models were not put behind this gateway.
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
        """The answer to GET /v1/models: the routed LLMs, then the further models of the engines."""
        routed = [self._routed_entry(llm, created) for llm in self.upstreams.llms]
        return routed + [self._entry(name) for name in self.upstreams.aliases]

    def _routed_entry(self, llm: str, created: int) -> ModelEntry:
        group = self.upstreams.of(llm)
        entry = self._entry(llm)
        context = next((one.route.max_context for one in group if one.route.max_context), None)
        return {
            "id": llm,
            "object": "model",
            "created": created,
            "owned_by": "scepsy",
            "root": entry.get("root", llm),
            "parent": entry.get("parent"),
            "max_model_len": entry.get("max_model_len", context),
        }

    def _entry(self, name: str) -> ModelEntry:
        """The entry of the first engine that lists this name."""
        listed = ((one.models or {}).get(name) for one in self.upstreams.of(name))
        return next((entry for entry in listed if entry is not None), ModelEntry())

    async def _ask(self, upstream: Upstream) -> None:
        """An engine that does not answer keeps its last list."""
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
        listed = ((text(members(entry).get("id")), members(entry)) for entry in entries)
        upstream.models = {name: entry for name, entry in listed if name and is_name(name)}
