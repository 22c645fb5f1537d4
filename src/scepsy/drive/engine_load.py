"""Measures how busy engines are while workflows are driven, from each replica's GET /metrics."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from statistics import fmean

import aiohttp
import msgspec

from scepsy.core.record import Record
from scepsy.engines.load import EngineLoad, read_load

EVERY = 1.0
"""Seconds from one reading to the next. A reading costs an engine about a millisecond."""

_UNREADABLE = (aiohttp.ClientError, OSError, ValueError, RecursionError, msgspec.MsgspecError)
"""What asking a server and reading its answer may raise; TimeoutError is an OSError."""
_PATIENCE = aiohttp.ClientTimeout(total=1.0)
_WINDOW_ENDS = 1e-9
"""Seconds by which the last reading may be past the window: rounding."""


class LlmLoad(Record, frozen=True, kw_only=True):
    """What the engines of one LLM reported in the measured window, all replicas together. A number
    that these engines do not report is None.

    Attributes:
        replicas: engines that reported.
        readings: how often each was read.
        busy: part of the window in which an engine computed, 0 to 1; the mean over replicas.
        running_mean, running_max: sequences in the batches of all replicas together.
        waiting_mean, waiting_max: sequences that waited to join a batch, likewise.
        kv_usage_mean, kv_usage_max: used fraction of an engine's KV cache, 0 to 1.
    """

    llm: str
    replicas: int
    readings: int
    busy: float | None = None
    running_mean: float | None = None
    running_max: float | None = None
    waiting_mean: float | None = None
    waiting_max: float | None = None
    kv_usage_mean: float | None = None
    kv_usage_max: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The load of one replica, read at `time` seconds in round `number` of readings."""

    number: int
    time: float
    llm: str
    replica: str
    load: EngineLoad


def llm_loads(readings: Sequence[Reading]) -> tuple[LlmLoad, ...]:
    """The readings summarised for each LLM, in the order of names (pure)."""
    by_llm: defaultdict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        by_llm[reading.llm].append(reading)
    return tuple(_llm_load(llm, by_llm[llm]) for llm in sorted(by_llm))


def _llm_load(llm: str, readings: Sequence[Reading]) -> LlmLoad:
    running = _totals((one.number, one.load.running) for one in readings)
    waiting = _totals((one.number, one.load.waiting) for one in readings)
    usage = [one.load.kv_usage for one in readings if one.load.kv_usage is not None]
    return LlmLoad(
        llm=llm,
        replicas=len({one.replica for one in readings}),
        readings=len({one.number for one in readings}),
        busy=_busy(readings),
        running_mean=fmean(running) if running else None,
        running_max=max(running, default=None),
        waiting_mean=fmean(waiting) if waiting else None,
        waiting_max=max(waiting, default=None),
        kv_usage_mean=fmean(usage) if usage else None,
        kv_usage_max=max(usage, default=None),
    )


def _totals(values: Iterable[tuple[int, float | None]]) -> list[float]:
    """Each round's sum over replicas."""
    totals: defaultdict[int, float] = defaultdict(float)
    for number, value in values:
        if value is not None:
            totals[number] += value
    return list(totals.values())


def _busy(readings: Sequence[Reading]) -> float | None:
    """Increases of the counter per second. An engine that started again counts from 0 again, so
    that interval is left out.
    """
    counters: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for one in readings:
        if one.load.busy_seconds is not None:
            counters[one.replica].append((one.time, one.load.busy_seconds))
    computed = seconds = 0.0
    for values in counters.values():
        for (begin, before), (end, after) in pairwise(values):
            if after >= before:
                computed, seconds = computed + after - before, seconds + end - begin
    return min(1.0, computed / seconds) if seconds else None


class _Replica(msgspec.Struct):
    """What the admin address of a gateway says of one replica; other fields are not needed."""

    llm: str
    replica: str
    url: str


class _Status(msgspec.Struct):
    replicas: list[_Replica]


@dataclass(slots=True)
class EngineReader:
    """Reads the engines behind a gateway, again and again.

    An upstream that answers once without a metric that we know, such as a hosted endpoint, is not
    asked again.

    Attributes:
        admin_url: the gateway's admin address.
        headers: headers with the admin key.
    """

    admin_url: str
    headers: Mapping[str, str]
    readings: list[Reading] = field(default_factory=list[Reading])
    _silent: set[str] = field(default_factory=set[str])

    async def run(self, *, after: float, seconds: float) -> None:
        """Reads every `EVERY` seconds, from `after` seconds on, for `seconds`.

        Where a reading takes longer, because an engine does not answer, those that are due
        meanwhile are left out.
        """
        clock = asyncio.get_running_loop().time
        begin = clock() + after
        async with aiohttp.ClientSession(timeout=_PATIENCE) as session:
            number = 0
            while number * EVERY <= seconds + _WINDOW_ENDS:
                await asyncio.sleep(max(0.0, begin + number * EVERY - clock()))
                replicas = await self._replicas(session)
                await asyncio.gather(*(self._read(session, number, one) for one in replicas))
                number = max(number + 1, ceil((clock() - begin) / EVERY))

    async def _replicas(self, session: aiohttp.ClientSession) -> list[_Replica]:
        url = f"{self.admin_url}/scepsy/status"
        with suppress(*_UNREADABLE):
            async with session.get(url, headers=self.headers) as answer:
                return msgspec.json.decode(await answer.read(), type=_Status).replicas
        return []

    async def _read(self, session: aiohttp.ClientSession, number: int, one: _Replica) -> None:
        if one.url in self._silent:
            return
        url = one.url.rstrip("/").removesuffix("/v1")
        with suppress(*_UNREADABLE):
            async with session.get(f"{url}/metrics") as answer:
                load = read_load(await answer.text()) if answer.status == 200 else EngineLoad()
            if not load.reported:
                self._silent.add(one.url)
                return
            now = asyncio.get_running_loop().time()
            self.readings.append(Reading(number, now, one.llm, one.replica, load))


@asynccontextmanager
async def engines_read(
    admin_url: str | None, headers: Mapping[str, str], *, after: float, seconds: float
) -> AsyncGenerator[list[Reading]]:
    """Reads engines in the background, from `after` seconds on for `seconds`, while the block
    runs; yields the list that fills. Without an admin address, as behind another server than our
    gateway, nothing is read.
    """
    if admin_url is None:
        yield []
        return
    reader = EngineReader(admin_url, headers)
    reading = asyncio.create_task(reader.run(after=after, seconds=seconds))
    try:
        yield reader.readings
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
