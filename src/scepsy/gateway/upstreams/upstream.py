"""The servers behind the gateway: their load, their health, and the models that they serve."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from scepsy.core.secrets import SECRET_CHARS_MIN
from scepsy.gateway.config import Route
from scepsy.gateway.upstreams.breaker import Breaker
from scepsy.gateway.upstreams.fence import Fence
from scepsy.gateway.upstreams.vitals import ReplicaVitals
from scepsy.gateway.wire.lenient_json import Json
from scepsy.routing.choose import ReplicaLoad, choose
from scepsy.routing.rate_limit import RateLimit

ModelEntry = dict[str, Json]


@dataclass(slots=True, eq=False)
class Upstream:
    """A server and its counts since the gateway started; `in_flight` is the present number of
    calls.

    A server that is not `probed` has no health check: Scepsy does not start it.

    Attributes:
        refused_fields: fields that the gateway would add, but that this server refuses.
        models: the list of its GET /v1/models, by id; None before it has been asked.
        breaker: whether calls are sent to it.
        vitals: what its health checks say of its life.
        fence: up once the server is cut off.
        limit: the turns of its calls, if its route has a rate limit.
    """

    route: Route
    probed: bool = True
    in_flight: int = 0
    served: int = 0
    failed: int = 0
    refused_fields: frozenset[str] = frozenset()
    models: dict[str, ModelEntry] | None = None
    breaker: Breaker = field(default_factory=Breaker)
    vitals: ReplicaVitals = field(default_factory=ReplicaVitals)
    fence: Fence = field(default_factory=Fence)
    limit: RateLimit | None = field(init=False)

    def __post_init__(self) -> None:
        rate = self.route.rate_limit
        self.limit = None if rate is None else RateLimit(rate)

    @property
    def name(self) -> str:
        return self.route.replica

    def address(self, path: str) -> str:
        """The URL for an API path. A base URL with a path of its own stands for /v1."""
        base = self.route.url.rstrip("/")
        has_path = base.count("/") > 2
        return base + (path.removeprefix("/v1") if has_path else path)

    def count(self, status: int) -> None:
        """Counts an answer with this status."""
        if status >= 500:
            self.failed += 1
        else:
            self.served += 1

    @property
    def healthy(self) -> bool:
        """Whether it may get calls, be it as a trial."""
        return self.breaker.state != "open"

    def sent(self) -> bool:
        """Notes that a call is sent. Returns whether it is the breaker's trial."""
        return self.breaker.sent(time.monotonic())

    def answered_badly(self) -> None:
        """It has answered that it failed, or in a way that cannot be read, or not in time."""
        self.breaker.failed(time.monotonic())

    def wait(self, now: float) -> float:
        """Seconds until its rate limit admits another call."""
        return 0.0 if self.limit is None else self.limit.wait(now)

    def suspect(self) -> None:
        """It has lost a call. It is out of service until its health check finds it well."""
        self.breaker.lost(time.monotonic())

    def broke_off(self, *, alive: bool = False) -> None:
        """It cannot be connected to, or stopped in the middle of an answer. It is `alive` if it
        answered what cannot be read.
        """
        self.failed += 1
        if alive:
            self.answered_badly()
        else:
            self.suspect()

    @property
    def load(self) -> ReplicaLoad:
        return ReplicaLoad(self.name, self.in_flight, self.route.capacity, self.breaker.allows)


@dataclass(slots=True)
class Upstreams:
    """All upstreams by LLM. Replacing the routes does not move calls in flight: they are counted
    until they end.

    Attributes:
        cut: by name of replica, the calls that it left unanswered and that no other one could
            serve, since the gateway started. Counts stay after the replica's route has gone.
    """

    pass_through: Upstream | None = None
    cut: Counter[str] = field(default_factory=Counter[str])
    _left: tuple[Upstream, ...] = ()
    _by_llm: dict[str, tuple[Upstream, ...]] = field(
        default_factory=dict[str, tuple[Upstream, ...]]
    )
    _by_alias: dict[str, tuple[Upstream, ...]] = field(
        default_factory=dict[str, tuple[Upstream, ...]]
    )
    _turn: int = 0

    def __iter__(self) -> Iterator[Upstream]:
        yield from self.routed
        if self.pass_through is not None:
            yield self.pass_through

    @property
    def routed(self) -> Iterator[Upstream]:
        for group in self._by_llm.values():
            yield from group

    @property
    def leaving(self) -> tuple[Upstream, ...]:
        """The upstreams without a route that have calls in flight."""
        self._left = tuple(one for one in self._left if one.in_flight)
        return self._left

    def sends_to(self, upstream: Upstream) -> bool:
        """Whether it may get calls."""
        return any(one is upstream for one in self)

    @property
    def llms(self) -> tuple[str, ...]:
        return tuple(self._by_llm)

    @property
    def aliases(self) -> tuple[str, ...]:
        """Names that engines serve beside the routed ones: adapters, served model names."""
        return tuple(self._by_alias)

    def of(self, llm: str) -> tuple[Upstream, ...]:
        """The upstreams that may answer calls of this LLM; none if it is unknown."""
        group = self._by_llm.get(llm) or self._by_alias.get(llm)
        if group is not None:
            return group
        return () if self.pass_through is None else (self.pass_through,)

    def keys(self) -> set[str]:
        """The keys that are sent to the present upstreams. Other threads may ask."""
        variables = {one.route.api_key_env for one in (*self, *self._left)}
        values = (os.environ.get(one, "") for one in variables if one)
        return {one for one in values if len(one) >= SECRET_CHARS_MIN}

    def knows(self, llm: str) -> bool:
        """Whether a route, or an engine behind one, has this name."""
        return llm in self._by_llm or llm in self._by_alias

    def replace(self, routes: Sequence[Route], waiting: Collection[str] = ()) -> None:
        """Replaces the routes. An upstream whose route stays, or comes back while it still has
        calls in flight, keeps its counts, unless it was fenced: its server may be back then, and a
        fence stays up. The LLMs in `waiting` are known also without a route.
        """
        every = (*self.leaving, *self.routed)
        known = {one.route: one for one in every if not one.fence.up}
        by_llm: dict[str, tuple[Upstream, ...]] = dict.fromkeys(waiting, ())
        for route in routes:
            upstream = known.get(route) or Upstream(route, probed=not route.hosted)
            by_llm[route.llm] = (*by_llm.get(route.llm, ()), upstream)
        self._by_llm = by_llm
        kept = set(routes)
        self._left = tuple(one for one in every if one.fence.up or one.route not in kept)
        self.index_aliases()

    def fence(self, replicas: Collection[str]) -> int:
        """Takes all calls away from these replicas, whether or not they still have a route. Returns
        how many calls these were.
        """
        cut = [one for one in (*self.leaving, *self.routed) if one.name in replicas]
        calls = sum(one.in_flight for one in cut)
        for one in cut:
            one.fence.raise_now()
        return calls

    def index_aliases(self) -> None:
        """Updates the names that the engines serve, after `models` of some have changed."""
        by_alias: dict[str, tuple[Upstream, ...]] = {}
        for upstream in self.routed:
            for name in upstream.models or ():
                if name not in self._by_llm:
                    by_alias[name] = (*by_alias.get(name, ()), upstream)
        self._by_alias = by_alias

    def named(self, llm: str, name: str | None, tried: Collection[str]) -> Upstream | None:
        """The upstream of this name, if it serves the LLM, may get calls and was not tried yet."""
        if name is None or name in tried:
            return None
        group = (one for one in self.of(llm) if one.name == name and one.healthy)
        return next(group, None)

    def pick(self, llm: str, affinity: str | None, tried: Collection[str]) -> Upstream | None:
        """The healthy upstream for the next call of `llm` that was not tried yet."""
        group = self.of(llm)
        self._turn += 1
        loads = [one.load for one in group]
        index = choose(loads, affinity=affinity, turn=self._turn, tried=tried)
        return None if index is None else group[index]

    def last_resort(self, llm: str, tried: Collection[str]) -> Upstream | None:
        """The least loaded upstream that was not tried yet, in service or not: it may be healthy
        again, and there is nothing to lose. One whose health check is not answered comes last.
        """
        group = self.of(llm)
        silent = {one.name for one in group if one.vitals.silent_since is not None}
        loads = [ReplicaLoad(one.name, one.in_flight, one.route.capacity) for one in group]
        for but in ({*tried, *silent}, tried):
            index = choose(loads, turn=self._turn, tried=but)
            if index is not None:
                return group[index]
        return None
