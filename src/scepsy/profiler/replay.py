"""Sends bursts to one engine, open-loop at a rate or closed-loop at saturation, and times the
calls.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp
import msgspec

from scepsy.core.trace import Call
from scepsy.errors import EngineFailed, Unreachable
from scepsy.profiler.bursts import Burst
from scepsy.profiler.sweep import Sample
from scepsy.profiler.synthesis import request_for


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Answer(msgspec.Struct):
    usage: _Usage | None = None


_decoder = msgspec.json.Decoder(_Answer)


@dataclass(slots=True)
class Replayer:
    """Replays an endless stream of bursts against the engine at `url`.

    `burst_size` is the mean number of calls in a burst.
    """

    session: aiohttp.ClientSession
    url: str
    bursts: Iterator[tuple[Burst, int]]
    burst_size: float
    templates: frozenset[str]

    async def idle(self, seconds: float) -> list[Sample]:
        """One burst at a time, for `seconds`: what the engine does without load."""
        clock = asyncio.get_running_loop().time
        begin = clock()
        samples: list[Sample] = []
        while clock() - begin < seconds:
            burst, number = next(self.bursts)
            async with asyncio.TaskGroup() as tasks:
                for call, offset in zip(burst.calls, burst.offsets, strict=True):
                    tasks.create_task(self._send(call, number, begin, offset, samples))
        return samples

    async def open_loop(self, rate: float, seconds: float, rng: random.Random) -> list[Sample]:
        """Offers about `rate` calls per second for `seconds`; waits for every answer.

        Bursts arrive as a Poisson process given its count, whatever their sizes: a free count would
        stray by a tenth, and near the knee of the curve a tenth of load is half of the latency.
        """
        clock = asyncio.get_running_loop().time
        begin = clock()
        samples: list[Sample] = []
        count = max(1, round(rate / self.burst_size * seconds))
        async with asyncio.TaskGroup() as tasks:
            for due in sorted(rng.uniform(0.0, seconds) for _ in range(count)):
                await asyncio.sleep(max(0.0, begin + due - clock()))
                burst, number = next(self.bursts)
                for call, offset in zip(burst.calls, burst.offsets, strict=True):
                    tasks.create_task(self._send(call, number, begin, offset, samples))
        return samples

    async def closed_loop(self, outstanding: int, seconds: float, max_rate: float) -> list[Sample]:
        """Keeps `outstanding` calls open for `seconds`, starting at most `max_rate` per second."""
        clock = asyncio.get_running_loop().time
        begin = clock()
        samples: list[Sample] = []
        calls = ((call, number) for burst, number in self.bursts for call in burst.calls)
        started = 0

        async def worker() -> None:
            nonlocal started
            while True:
                slot = begin + started / max_rate
                started += 1
                await asyncio.sleep(max(0.0, slot - clock()))
                if clock() - begin > seconds:
                    return
                call, number = next(calls)
                await self._send(call, number, begin, 0.0, samples)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(outstanding):
                tasks.create_task(worker())
        return samples

    async def _send(
        self, call: Call, number: int, begin: float, offset: float, samples: list[Sample]
    ) -> None:
        if offset > 0:
            await asyncio.sleep(offset)
        path, body = request_for(call, pass_number=number, templates=self.templates)
        clock = asyncio.get_running_loop().time
        sent = clock()
        try:
            async with self.session.post(
                self.url + path, data=body, headers={"content-type": "application/json"}
            ) as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(
                f"the engine at {self.url} went away during the replay: {error}"
            ) from error
        if response.status != 200:
            raise EngineFailed(
                f"the engine at {self.url} refused a replayed call of {call.llm!r} on {path} "
                f"with {response.status}: {answer[:300].decode(errors='replace')}"
            )
        try:
            usage = _decoder.decode(answer).usage or _Usage()
        except msgspec.MsgspecError as error:
            raise EngineFailed(
                f"the engine at {self.url} gave no OpenAI answer: {error}"
            ) from error
        samples.append(
            Sample(
                workflow=call.workflow,
                sent=sent - begin,
                latency=clock() - sent,
                output_tokens=usage.completion_tokens,
                prompt_tokens=usage.prompt_tokens,
            )
        )
