"""Watches the upstreams: returns them to service, and takes calls away from those that hang."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from itertools import takewhile

from scepsy.gateway.upstreams.fence import Fence, Stuck, Waiting
from scepsy.gateway.upstreams.health_check import ask_health
from scepsy.gateway.upstreams.upstream import Upstream, Upstreams
from scepsy.gateway.upstreams.vitals import WaitLimits, Waits

PROBE_INTERVAL = 0.25  # seconds between two looks at all upstreams
_ANSWER_WITHIN = 5.0  # seconds for one health check

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class HealthWatch:
    """Each upstream is asked by a task of its own: no answer of one, however odd or slow, delays
    the others or ends the watch.
    """

    upstreams: Upstreams
    limits: WaitLimits
    _asking: dict[Upstream, asyncio.Task[None]] = field(
        default_factory=dict[Upstream, "asyncio.Task[None]"]
    )

    async def run(self) -> None:
        """Runs until cancelled."""
        try:
            while True:
                await asyncio.sleep(PROBE_INTERVAL)
                for upstream in (*self.upstreams, *self.upstreams.leaving):
                    self._look(upstream)
        finally:
            asking = [*self._asking.values()]
            for task in asking:
                task.cancel()
            if asking:
                await asyncio.wait(asking)

    def _look(self, upstream: Upstream) -> None:
        now, fence, limits = asyncio.get_running_loop().time(), upstream.fence, self.limits
        _end_overdue(fence.first, now - limits.first_byte_max, "it sent no byte of its answer for")
        _end_overdue(fence.next, now - limits.silence_max, "it was silent in mid-answer for")
        if not upstream.probed:
            upstream.breaker.probed(now, healthy=True)
            return
        waits = _waits(fence)
        if upstream.vitals.hangs(waits, limits, now):
            _log.warning("%s hangs: its calls are taken away from it", upstream.name)
            upstream.breaker.lost(now)
            fence.take_away(Stuck("it sends nothing and does not answer its health check"))
        is_open = upstream.breaker.state != "closed"
        asks = is_open or upstream.vitals.asks(waits, limits, now)
        if asks and upstream not in self._asking:
            self._asking[upstream] = asyncio.create_task(self._ask(upstream))

    async def _ask(self, upstream: Upstream) -> None:
        loop = asyncio.get_running_loop()
        asked, within = loop.time(), min(_ANSWER_WITHIN, self.limits.hung_after)
        try:
            status = await ask_health(upstream.route.url, within)
        except Exception:  # noqa: BLE001 - whatever one upstream answers, the watch goes on
            _log.exception("the health check of %s failed; the next one follows", upstream.name)
            status = None
        finally:
            del self._asking[upstream]
        if status is None:
            upstream.vitals.missed(asked)
        else:
            upstream.vitals.answered(loop.time())
        if upstream.breaker.state != "closed":
            upstream.breaker.probed(loop.time(), healthy=status == 200)
            if status == 200:
                upstream.refused_fields = frozenset()  # another version may answer there now


def _waits(fence: Fence) -> Waits:
    """Blocks are in the order in which they began to wait."""
    first, after = next(iter(fence.first), None), next(iter(fence.next), None)
    return Waits(
        float("inf") if first is None else first.since,
        float("inf") if after is None else after.since,
        fence.heard,
    )


def _end_overdue(waits: dict[Waiting, None], before: float, what: str) -> None:
    """Ends the blocks that wait since before that time."""
    now = asyncio.get_running_loop().time()
    for wait in [*takewhile(lambda one: one.since <= before, waits)]:
        wait.end(Stuck(f"{what} {now - wait.since:.0f} s"))
