"""Asks upstreams that are out of service whether they are healthy again."""

from __future__ import annotations

import asyncio
import logging

import aiohttp

from scepsy.gateway.upstreams.upstream import Upstream, Upstreams

PROBE_INTERVAL = 0.25  # seconds between two rounds
_PROBE_TIMEOUT = aiohttp.ClientTimeout(total=2.0)

_log = logging.getLogger(__name__)


async def probe_for_ever(upstreams: Upstreams, session: aiohttp.ClientSession) -> None:
    """Returns healthy upstreams to service. No answer of an upstream ends the loop."""
    while True:
        await asyncio.sleep(PROBE_INTERVAL)
        try:
            await _probe(upstreams, session)
        except Exception:  # noqa: BLE001 - whatever an upstream answers, the others go on
            _log.exception("a round of health probes failed; the next one follows")


async def _probe(upstreams: Upstreams, session: aiohttp.ClientSession) -> None:
    unwell = [one for one in upstreams if not one.healthy]
    answers = await asyncio.gather(*(_is_healthy(session, one) for one in unwell))
    for upstream, healthy in zip(unwell, answers, strict=True):
        if healthy:
            upstream.healthy = True
            upstream.refused_fields = frozenset()  # another version may answer there now


async def _is_healthy(session: aiohttp.ClientSession, upstream: Upstream) -> bool:
    url = upstream.route.url.rstrip("/").removesuffix("/v1") + "/health"
    try:
        async with session.get(url, timeout=_PROBE_TIMEOUT, allow_redirects=False) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return False
