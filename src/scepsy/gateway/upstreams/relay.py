"""Sends a call to an upstream, and to another one if that fails, a bounded number of times."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

from scepsy.gateway.recording.exchange import Exchange
from scepsy.gateway.upstreams.poison import PoisonWatch
from scepsy.gateway.upstreams.sending import (
    ConnectionLost,
    NotSent,
    Outgoing,
    Reply,
    Sender,
    SendFailed,
    Stalled,
    TakenAway,
    UnreadableAnswer,
    UnsendableRequest,
)
from scepsy.gateway.upstreams.upstream import Upstream, Upstreams
from scepsy.gateway.wire.errors import (
    ErrorAnswer,
    given_up,
    malformed,
    quarantined,
    stalled,
    unanswered,
    unreadable_answer,
)
from scepsy.gateway.wire.failures import begins_with_failure

# Statuses with which servers refuse a field that they do not know.
_REFUSALS = frozenset({400, 405, 409, 415, 422, 501})
# Errors about the caller's prompt, which our fields do not make longer.
_TOO_LONG = re.compile(rb"too long|context (?:length|window|size)|maximum context", re.IGNORECASE)


@dataclass(slots=True)
class _Sends:
    """The outcomes of the sends of one call so far.

    Attributes:
        left: how many more sends may end with a lost connection, a 5xx or an unreadable answer, or
            without an answer in time.
        tried: replicas that were asked.
        lost: replicas whose connection was lost, by name.
        failed: a 5xx answer, to be used if no replica has a better one.
        resent: whether the only replica left was asked a second time.
        left_at: name of the first replica that got the call and did not answer it; empty for none.
    """

    left: int
    tried: set[str] = field(default_factory=set[str])
    why: list[str] = field(default_factory=list[str])
    lost: dict[str, Upstream] = field(default_factory=dict[str, Upstream])
    failed: Reply | None = None
    unreadable: bool = False
    stalled: bool = False
    resent: bool = False
    left_at: str = ""

    @property
    def troubled(self) -> bool:
        """Whether a send went wrong, so that the next one carries the caller's own fields only."""
        return bool(self.lost) or self.failed is not None

    def once_more(self) -> Upstream | None:
        """The replica to ask a second time if there is no other one."""
        if self.failed is not None:
            return self.failed.upstream if self.failed.added else None
        return next(iter(self.lost.values()), None)

    def note(self, upstream: Upstream, error: SendFailed) -> None:
        """Records a failure. Of the replicas that lose a call only the first is suspected: when a
        second one loses it, the call itself is more likely to be the cause.
        """
        self.why.append(f"{upstream.name}: {error}")
        if isinstance(error, NotSent):
            upstream.broke_off()
            return
        if not isinstance(error, UnreadableAnswer):
            self.left_at = self.left_at or upstream.name
        if isinstance(error, TakenAway):  # no fault of the call, which may go on elsewhere
            upstream.failed += 1
            return
        self.left -= 1
        if isinstance(error, UnreadableAnswer):
            self.unreadable = True
            upstream.failed += 1
            upstream.answered_badly()
            return
        if isinstance(error, Stalled):  # where the replica hangs, the health watch has said so
            self.stalled = True
            upstream.failed += 1
            upstream.answered_badly()
            return
        if not self.lost:
            upstream.suspect()
        self.lost[upstream.name] = upstream

    def settle(self, answered: Upstream | None) -> None:
        """Counts the lost calls, except for a replica that has answered in the end."""
        for upstream in self.lost.values():
            if upstream is not answered:
                upstream.failed += 1


@dataclass(frozen=True, slots=True)
class Relay:
    """`max_sends`: how often a call is sent in total if its connection is lost or the answer is
    5xx.
    """

    sender: Sender
    upstreams: Upstreams
    clock: Callable[[], float]
    max_sends: int = 2
    poison: PoisonWatch = field(default_factory=PoisonWatch)

    async def open(self, outgoing: Outgoing, exchange: Exchange) -> Reply | ErrorAnswer:
        """The first answer of any replica; none of it has been passed to the caller yet.

        A replica that cannot be connected to is taken out of service until it is healthy again, and
        the next one is asked. If the connection is lost, the replica is suspected, and the call is
        sent once more: to another replica, or on a fresh connection if there is none (a server may
        close a kept-alive connection just as it is used). A replica that answers 5xx may be
        failing: another one is asked, and if that has no better answer, the first answer counts.
        A call after which two replicas died is refused for a while.
        """
        if self.poison:
            wait = self.poison.refused_for(_digest(outgoing), time.monotonic())
            if wait is not None:
                return quarantined(exchange.asked.llm, wait)
        sends = _Sends(self.max_sends)
        while (upstream := self._next(exchange, sends)) is not None:
            sends.tried.add(upstream.name)
            try:
                reply = await self._ask(upstream, outgoing, exchange, sends)
            except UnsendableRequest as error:
                return malformed(f"the request's headers cannot be sent on: {error}")
            except SendFailed as error:
                sends.note(upstream, error)
                if isinstance(error, ConnectionLost | Stalled):
                    self.died(upstream, outgoing)
                continue
            if reply.status >= 500 and sends.failed is None:
                reply.close()
                sends.failed = reply
                sends.left -= 1
                continue
            if sends.failed is not None:
                sends.failed.upstream.count(sends.failed.status)
            sends.settle(reply.upstream)
            return reply
        return self._outcome(exchange, sends)

    def died(self, upstream: Upstream, outgoing: Outgoing) -> None:
        """The upstream lost this call, be it in the middle of its answer."""
        self.poison.lost(_digest(outgoing), upstream.name, time.monotonic())

    def served(self, outgoing: Outgoing) -> None:
        """The call was answered to its end."""
        if self.poison:
            self.poison.answered(_digest(outgoing))

    def _next(self, exchange: Exchange, sends: _Sends) -> Upstream | None:
        """The upstream to send to next; None if the call has been sent often enough."""
        if sends.left <= 0:
            return None
        llm, affinity = exchange.asked.llm, exchange.identity.run
        upstream = self.upstreams.named(llm, exchange.home, sends.tried) or self.upstreams.pick(
            llm, affinity, sends.tried
        )
        if upstream is not None:
            return upstream
        again = None if sends.resent else sends.once_more()
        if again is not None and self.upstreams.sends_to(again):
            sends.resent = True
            return again
        return None if sends.failed else self.upstreams.last_resort(llm, sends.tried)

    def _outcome(self, exchange: Exchange, sends: _Sends) -> Reply | ErrorAnswer:
        """The answer to a call that no replica has served."""
        sends.settle(None)
        llm = exchange.asked.llm
        if sends.failed is not None:
            exchange.replica = sends.failed.upstream.name
            return sends.failed
        exchange.cut_at = sends.left_at
        if sends.unreadable:
            return unreadable_answer(llm, sends.why)
        if sends.stalled and not sends.lost:
            return stalled(llm, sends.why)
        return given_up(llm, sends.why) if sends.lost else unanswered(llm, sends.why)

    async def _ask(
        self, upstream: Upstream, outgoing: Outgoing, exchange: Exchange, sends: _Sends
    ) -> Reply:
        """The upstream's answer. If it seems to refuse a field that the gateway added, the call is
        sent again without that field; if this helps, the field is no longer added for this
        upstream.
        """
        fresh = upstream.name in sends.lost
        added = frozenset[str]() if sends.troubled else outgoing.added_for(upstream)
        reply = await self._send(upstream, outgoing, exchange, added, fresh=fresh)
        if sends.failed is not None and sends.failed.upstream is upstream and reply.status < 400:
            upstream.refused_fields |= sends.failed.added
        if not added or not _may_refuse(reply):
            return reply
        reply.close()
        again = await self._send(upstream, outgoing, exchange, frozenset(), fresh=fresh)
        if again.status < 400 and not begins_with_failure(again.first, streams=again.streams):
            upstream.refused_fields |= _named(reply) or added
        return again

    async def _send(
        self,
        upstream: Upstream,
        outgoing: Outgoing,
        exchange: Exchange,
        added: frozenset[str],
        *,
        fresh: bool,
    ) -> Reply:
        exchange.replica = upstream.name
        if upstream.limit is not None and (wait := upstream.limit.take(self.clock())):
            await asyncio.sleep(wait)
        exchange.dispatched = self.clock()
        exchange.attempts += 1
        trial = upstream.sent()
        try:
            reply = await self.sender.post(upstream, outgoing, added, fresh=fresh)
        except BaseException:
            if trial:
                upstream.breaker.trial_ended()
            raise
        if reply.status >= 500:
            upstream.answered_badly()
        else:
            upstream.breaker.answered()
        return reply


def _digest(outgoing: Outgoing) -> bytes:
    return blake2b(outgoing.body, digest_size=16, key=outgoing.path.encode()[:64]).digest()


def _may_refuse(reply: Reply) -> bool:
    """Whether an added field may be the reason for the answer: by its status, because it names the
    field, or as a failure within a 200.
    """
    if reply.status >= 400:
        if _named(reply):
            return True
        return reply.status in _REFUSALS and not _TOO_LONG.search(reply.first)
    return begins_with_failure(reply.first, streams=reply.streams)


def _named(reply: Reply) -> frozenset[str]:
    return frozenset(name for name in reply.added if name.encode() in reply.first)
