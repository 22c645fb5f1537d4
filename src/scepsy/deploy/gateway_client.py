"""What a backend asks of a running gateway: new routes, counts of calls, and to accept no more."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from urllib.parse import urlencode

import aiohttp
import msgspec

from scepsy.errors import Unreachable
from scepsy.gateway.access.admin_access import AdminAccess
from scepsy.gateway.config import Route

_ANSWER_WITHIN = 30.0
"""Seconds that a gateway has to answer. On a machine with too much work it may take some."""

_QUESTIONS = 3
"""Questions in a row that a gateway leaves without an answer if it hangs."""

_POLL = 0.1
"""Seconds between two readings of the calls in flight."""


class _TooSlow(Unreachable):
    """A gateway that has not answered in time. That says nothing of its calls."""


class CallCounts(msgspec.Struct, frozen=True):
    """The calls of one replica in the gateway's GET /scepsy/status: those in flight now, and those
    since the gateway started. `routed` is False for a replica that gets no new calls.
    """

    replica: str
    in_flight: int
    served: int
    failed: int
    routed: bool = True


class GatewayCounts(msgspec.Struct, frozen=True):
    """The parts of the gateway's GET /scepsy/status that a backend needs. `in_flight` counts calls
    of all replicas, and those that have not been sent to one yet; `cut` counts by replica the calls
    that it left unanswered and that no other one could serve.
    """

    in_flight: int
    replicas: tuple[CallCounts, ...]
    cut: dict[str, int] = msgspec.field(default_factory=dict[str, int])

    @staticmethod
    def sum(every: Iterable[GatewayCounts]) -> GatewayCounts:
        """The counts of several gateways together."""
        told = tuple(every)
        cut: Counter[str] = Counter()
        for one in told:
            cut.update(one.cut)
        replicas = tuple(each for one in told for each in one.replicas)
        return GatewayCounts(sum(one.in_flight for one in told), replicas, dict(cut))

    def at(self, names: Collection[str]) -> dict[str, int]:
        """The calls in flight at these replicas, for each that has any."""
        found: Counter[str] = Counter()
        for one in self.replicas:
            if one.replica in names and one.in_flight:
                found[one.replica] += one.in_flight
        return dict(found)

    @property
    def left(self) -> dict[str, int]:
        """All calls in flight, by replica; "" has those that were not sent to one yet."""
        left = self.at([one.replica for one in self.replicas])
        unsent = self.in_flight - sum(left.values())
        return left | ({"": unsent} if unsent > 0 else {})


async def put_routes(
    access: AdminAccess, routes: Sequence[Route], waiting: Collection[str] = ()
) -> None:
    """Replaces the routes of a running gateway. Calls in flight end where they are. Calls of LLMs
    in `waiting` that have no route, because they will have one soon, are answered with 503 and not
    with 404.

    Raises Unreachable where the gateway does not answer or refuses them.
    """
    query = urlencode([("waiting", llm) for llm in sorted(waiting)])
    await _ask(access, "PUT", f"/scepsy/routes?{query}", msgspec.json.encode(routes))


async def close(access: AdminAccess) -> None:
    """The gateway answers new calls with 503 until it gets new routes. Raises Unreachable."""
    await _ask(access, "PUT", "/scepsy/closed", b"")


async def fence(access: AdminAccess, replicas: Collection[str]) -> None:
    """Takes all calls away from replicas whose nodes are cut off, and which have no route any more.
    Calls of which nothing has been delivered are sent to other replicas. Raises Unreachable.
    """
    await _ask(access, "PUT", "/scepsy/fence", msgspec.json.encode(sorted(replicas)))


async def counts(access: AdminAccess, within: float | None = None) -> GatewayCounts:
    """The gateway's counts of calls. Raises Unreachable, also where it takes more than `within`
    seconds (30).
    """
    body = await _ask(access, "GET", "/scepsy/status", None, within)
    try:
        return msgspec.json.decode(body, type=GatewayCounts)
    except msgspec.MsgspecError as error:
        raise Unreachable(f"what answers at {access.url} is no gateway: {error}") from error


async def drained(access: AdminAccess, names: Collection[str], grace: float) -> dict[str, int]:
    """Waits until none of the replicas has a call in flight, for at most `grace` seconds. The
    replicas must not be routed to any more.

    Returns the calls that are in flight after that, for each replica that has any. Raises
    Unreachable where the gateway has ended before the first look; where it ends later, its calls
    have ended with it. One that is slow to answer is asked again; one that hangs has ended, too.
    """
    deadline = asyncio.get_running_loop().time() + grace
    told = await _told(access, deadline)
    while (left := told.at(names)) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(_POLL)
        try:
            told = await _told(access, deadline)
        except Unreachable:
            return left
    return left


async def _told(access: AdminAccess, deadline: float, *, closing: bool = False) -> GatewayCounts:
    """The gateway's counts, after it was closed where it is `closing`. Until the deadline, a
    gateway that is slow to answer is asked again a few times. It hangs if it answers none of them.
    """
    for last in (False,) * (_QUESTIONS - 1) + (True,):
        try:
            if closing:  # new routes, as when a node is lost, have opened it again
                await close(access)
            return await counts(access)
        except _TooSlow:
            if last or asyncio.get_running_loop().time() >= deadline:
                raise
    raise AssertionError


async def closed(access: AdminAccess, grace: float) -> dict[str, int]:
    """Lets the gateway refuse new calls, and waits until none is in flight, for at most `grace`
    seconds. Returns the calls that are in flight after that, for each replica that has any; "" has
    those that were not sent to a replica yet. Raises Unreachable as `drained` does.
    """
    await close(access)
    deadline = asyncio.get_running_loop().time() + grace
    told = await _told(access, deadline)
    while told.in_flight and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(_POLL)
        try:
            told = await _told(access, deadline, closing=True)
        except Unreachable:
            break
    return told.left


async def _ask(
    access: AdminAccess, method: str, path: str, body: bytes | None, within: float | None = None
) -> bytes:
    url = access.url + path
    seconds = _ANSWER_WITHIN if within is None else within
    timeout = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, data=body, headers=access.headers) as response,
        ):
            answer = await response.read()
            if response.status != 200:
                raise Unreachable(
                    f"the gateway refused {method} {url}: {answer[:500].decode(errors='replace')}"
                )
            return answer
    except TimeoutError as error:
        raise _TooSlow(
            f"the gateway did not answer {method} {url} within {seconds:g} s; is it overloaded?"
        ) from error
    except aiohttp.ClientError as error:
        what = str(error) or type(error).__name__
        raise Unreachable(f"the gateway does not answer {method} {url}: {what}") from error
