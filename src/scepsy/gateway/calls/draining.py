"""How a gateway ends: it takes no new calls, and waits for those in flight."""

from __future__ import annotations

import asyncio
import logging

from scepsy.gateway.calls.dataplane import DataPlane

LAST_WORDS = 5.0
"""Seconds after the grace in which the callers of calls that are cut get their error."""

_POLL = 0.05

_log = logging.getLogger(__name__)


async def drain(plane: DataPlane, grace: float) -> None:
    """Refuses new calls with 503, and lets `/health` say so, until no call is in flight or `grace`
    seconds are over. The gateway listens meanwhile: a balancer has to learn that it goes.
    """
    plane.draining = True
    if plane.in_flight:
        _log.info("stopping: %d calls in flight have %g s", plane.in_flight, grace)
    deadline = asyncio.get_running_loop().time() + grace
    while plane.in_flight and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(_POLL)
    if plane.in_flight:
        _log.warning("%d calls are cut: not finished after %g s", plane.in_flight, grace)
