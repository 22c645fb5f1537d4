"""What goes wrong in a soak: one thing at a time, so that another replica and gateway live."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass

from experiments.soak.site import Server, Site

PAUSE = 8.0  # seconds between two troubles, in which everything serves
DOWN = 3.0  # seconds that a killed process is gone
STOPPED = 14.0  # seconds of SIGSTOP; more than a gateway needs to find that out


@dataclass(frozen=True, slots=True)
class Incident:
    """One trouble, from `began` until everything serves again. Seconds since the soak began."""

    what: str
    who: str
    began: float
    ended: float


async def make_trouble(
    site: Site, rng: random.Random, clock: Callable[[], float], until: float, gateways_until: float
) -> list[Incident]:
    """Makes trouble until then. Gateways are left alone after `gateways_until`, so that their
    memory can be observed.
    """
    incidents: list[Incident] = []
    while clock() + PAUSE < until:
        await asyncio.sleep(PAUSE)
        kinds = ["kill replica", "stop replica"]
        if clock() < gateways_until:
            kinds = ["kill gateway", "end gateway", *kinds]
        what = kinds[len(incidents) % len(kinds)]
        among = site.engines if what.endswith("replica") else site.gateways
        one, began = rng.choice(among), clock()
        await _trouble(what, one)
        incidents.append(Incident(what, one.name, began, clock()))
    return incidents


async def _trouble(what: str, one: Server) -> None:
    match what:
        case "stop replica":
            one.signal(signal.SIGSTOP)
            await asyncio.sleep(STOPPED)
            one.signal(signal.SIGCONT)
        case "end gateway":
            await one.end()
            await one.start()
        case _:
            await one.kill()
            await asyncio.sleep(DOWN)
            await one.start()
