"""The servers behind the gateway: who they are, how busy, how well."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import aiohttp

from scepsy.gateway.config import Route
from scepsy.routing.choose import ReplicaLoad, choose

PROBE_INTERVAL = 0.25
_PROBE_TIMEOUT = aiohttp.ClientTimeout(total=2.0)


@dataclass(slots=True, eq=False)
class Upstream:
    """A server and its counts since the gateway started; `in_flight` is now.

    One that is not `probed` (it is not ours, and may have no /health) is always taken to be well.
    """

    route: Route
    probed: bool = True
    in_flight: int = 0
    served: int = 0
    failed: int = 0
    healthy: bool = True

    @property
    def name(self) -> str:
        return self.route.replica

    def address(self, path: str) -> str:
        """The URL for an API path. A base URL with a path of its own stands for /v1."""
        base = self.route.url.rstrip("/")
        has_path = base.count("/") > 2
        return base + (path.removeprefix("/v1") if has_path else path)

    def count(self, status: int) -> None:
        """An answer of it has gone out with this status."""
        if status >= 500:
            self.failed += 1
        else:
            self.served += 1

    def broke_off(self) -> None:
        """It did not answer, or not to the end. Out of service until a probe finds it well."""
        self.failed += 1
        self.healthy = not self.probed

    @property
    def load(self) -> ReplicaLoad:
        return ReplicaLoad(self.name, self.in_flight, self.route.capacity, self.healthy)


@dataclass(slots=True)
class Upstreams:
    """All upstreams by LLM. Replacing the routes leaves calls in flight where they are."""

    pass_through: Upstream | None = None
    _by_llm: dict[str, tuple[Upstream, ...]] = field(
        default_factory=dict[str, tuple[Upstream, ...]]
    )
    _turn: int = 0

    def __iter__(self) -> Iterator[Upstream]:
        for group in self._by_llm.values():
            yield from group
        if self.pass_through is not None:
            yield self.pass_through

    @property
    def llms(self) -> tuple[str, ...]:
        return tuple(self._by_llm)

    def of(self, llm: str) -> tuple[Upstream, ...]:
        """Who may answer calls of this LLM; nobody where it is unknown."""
        if llm in self._by_llm:
            return self._by_llm[llm]
        return () if self.pass_through is None else (self.pass_through,)

    def replace(self, routes: Sequence[Route]) -> None:
        """Routes as given from now on. An upstream whose route stays keeps its counts."""
        known = {one.route: one for group in self._by_llm.values() for one in group}
        by_llm: dict[str, tuple[Upstream, ...]] = {}
        for route in routes:
            upstream = known.get(route) or Upstream(route, probed=not route.hosted)
            by_llm[route.llm] = (*by_llm.get(route.llm, ()), upstream)
        self._by_llm = by_llm

    def pick(self, llm: str, affinity: str | None, tried: Collection[str]) -> Upstream | None:
        """The healthy upstream for the next call of `llm` that was not tried yet."""
        group = self.of(llm)
        self._turn += 1
        loads = [one.load for one in group]
        index = choose(loads, affinity=affinity, turn=self._turn, tried=tried)
        return None if index is None else group[index]

    def last_resort(self, llm: str, tried: Collection[str]) -> Upstream | None:
        """One that is thought unhealthy but was not tried: it may be back by now."""
        return next((one for one in self.of(llm) if one.name not in tried), None)


async def probe(upstreams: Upstreams, session: aiohttp.ClientSession) -> None:
    """Asks unhealthy upstreams for their health, for ever, and takes back those that are well."""
    while True:
        await asyncio.sleep(PROBE_INTERVAL)
        unwell = [one for one in upstreams if not one.healthy]
        answers = await asyncio.gather(*(_is_healthy(session, one) for one in unwell))
        for upstream, healthy in zip(unwell, answers, strict=True):
            upstream.healthy = healthy


async def _is_healthy(session: aiohttp.ClientSession, upstream: Upstream) -> bool:
    url = upstream.route.url.rstrip("/").removesuffix("/v1") + "/health"
    try:
        async with session.get(url, timeout=_PROBE_TIMEOUT) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
