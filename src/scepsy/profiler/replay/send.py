"""Plays one round: sends traced calls to an engine and measures each answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

from scepsy.core.trace import Call
from scepsy.curves.bursts import Burst, Stream
from scepsy.curves.rounds import RoundSpec, Sample
from scepsy.errors import EngineFailed, Unreachable
from scepsy.profiler.replay.schedule import ChainArrival, Gaps, schedule
from scepsy.profiler.replay.synthesis import request_for
from scepsy.profiler.replay.timed_answer import read_answer


@dataclass(frozen=True, slots=True)
class Replayer:
    """Replays a stream of calls against the engine at `url`.

    What a round sends depends on `seed` and the round alone, not on earlier rounds.

    Attributes:
        outstanding: calls in flight that keep the engine full.
        max_rate: most calls per second that are started while it is kept full.
    """

    session: aiohttp.ClientSession
    url: str
    stream: Stream
    outstanding: int
    max_rate: float
    gaps: Gaps
    seed: str

    async def play(self, step: RoundSpec) -> list[Sample]:
        """Plays one round. Returns its calls once the last of them is answered.

        Raises:
            EngineFailed: the engine refused a call, or gave an answer that we cannot read.
            Unreachable: the connection to the engine was lost.
        """
        seed = f"{self.seed}/{step.kind}/{step.rate!r}/{step.number}"
        rng = random.Random(seed)
        sender = _Sender(self, seed)
        match step.kind:
            case "idle":
                await sender.one_by_one(step.seconds, rng)
            case "full":
                await sender.closed_loop(step.seconds, rng)
            case "bursts" | "runs":
                arrivals = schedule(
                    self.stream,
                    step.rate,
                    step.seconds,
                    whole=step.kind == "runs",
                    gaps=self.gaps,
                    rng=rng,
                )
                await sender.open_loop(arrivals, step.seconds)
        return sorted(sender.samples, key=lambda sample: sample.sent)


@dataclass(slots=True)
class _Sender:
    """One round in progress."""

    to: Replayer
    salt: str
    begin: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    samples: list[Sample] = field(default_factory=list[Sample])
    _templates: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._templates = self.to.stream.templates()

    async def one_by_one(self, seconds: float, rng: random.Random) -> None:
        """Sends one burst at a time, so that the engine has no other load."""
        for unit, (burst, number) in enumerate(self.to.stream.bursts(rng)):
            await self._burst(burst, unit, number)
            if self._now() > seconds:
                return

    async def open_loop(self, arrivals: Sequence[ChainArrival], seconds: float) -> None:
        """Starts each chain when it is due. Bursts that begin within `seconds` are finished."""
        async with asyncio.TaskGroup() as tasks:
            for unit, arrival in enumerate(arrivals):
                await asyncio.sleep(max(0.0, arrival.at - self._now()))
                tasks.create_task(self._chain(arrival, unit, seconds))

    async def closed_loop(self, seconds: float, rng: random.Random) -> None:
        """Keeps the engine full. Starts at most `max_rate` calls per second."""
        bursts = self.to.stream.bursts(rng)
        calls = ((call, number) for burst, number in bursts for call in burst.calls)
        started = 0

        async def worker() -> None:
            nonlocal started
            while True:
                slot = started / self.to.max_rate
                started += 1
                await asyncio.sleep(max(0.0, slot - self._now()))
                if self._now() > seconds:
                    return
                call, number = next(calls)
                await self._send(call, started, number)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(self.to.outstanding):
                tasks.create_task(worker())

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self.begin

    async def _chain(self, arrival: ChainArrival, unit: int, seconds: float) -> None:
        """Sends a run's bursts, each when the one before has ended and the recorded gap is over."""
        for index, burst in enumerate(arrival.chain):
            if index:
                await asyncio.sleep(burst.start - arrival.chain[index - 1].end)
                if self._now() >= seconds:
                    return
            await self._burst(burst, unit, arrival.number)

    async def _burst(self, burst: Burst, unit: int, number: int) -> None:
        async with asyncio.TaskGroup() as tasks:
            for call, offset in zip(burst.calls, burst.offsets, strict=True):
                tasks.create_task(self._send(call, unit, number, offset))

    async def _send(self, call: Call, unit: int, number: int, offset: float = 0.0) -> None:
        if offset > 0:
            await asyncio.sleep(offset)
        path, body = request_for(call, salt=f"{self.salt}/{number}", templates=self._templates)
        sent = self._now()
        try:
            async with self.to.session.post(
                self.to.url + path, data=body, headers={"content-type": "application/json"}
            ) as response:
                if response.status != 200:
                    reason = (await response.read())[:300].decode(errors="replace")
                    raise EngineFailed(
                        f"the engine at {self.to.url} refused a replayed call of {call.llm!r} on "
                        f"{path} with {response.status}: {reason}"
                    )
                answer = await read_answer(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(
                f"the connection to the engine at {self.to.url} was lost during the replay: {error}"
            ) from error
        first = None if answer.first_byte is None else answer.first_byte - self.begin - sent
        self.samples.append(
            Sample(
                workflow=call.workflow,
                unit=unit,
                sent=sent,
                latency=self._now() - sent,
                output_tokens=answer.output_tokens,
                prompt_tokens=answer.prompt_tokens,
                ttft=first,
                cached_tokens=answer.cached_tokens,
            )
        )
