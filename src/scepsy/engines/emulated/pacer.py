"""Runs a simulated engine in real time, at a multiple of its own speed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from scepsy.engines.emulated.board import Board
from scepsy.hardware.contention import bandwidth_wanted, slowdown
from scepsy.sim.engine.batch import EngineSequence, EngineStep, StepResult
from scepsy.sim.engine.continuous_batching import SimulatedEngine

_EPOLL_TICK = 1e-3
"""Seconds. An event loop on epoll wakes up to this much too late, so that sleeping half of it less
leaves no bias.
"""

_STREAM_GRAIN = 2e-3
"""Seconds of tokens that a stream may receive at once. A wake-up for each token would cost too much
processor time.
"""

_NEIGHBOUR_INTERVAL = 50e-3
"""Seconds after which an engine on a shared GPU reads its neighbours' demand again."""


@dataclass(frozen=True, slots=True)
class TokenProgress:
    """`tokens` more of a sequence. The last progress has `cached_tokens`, the prompt tokens that
    were in the prefix cache.
    """

    tokens: int
    cached_tokens: int | None


@dataclass(slots=True)
class _Listener:
    """The caller of one sequence. Most callers want the whole answer, for which a future costs less
    than a queue; streams have a queue as well.
    """

    done: asyncio.Future[int]
    output: int
    reported: int = 0
    progress: asyncio.Queue[TokenProgress] | None = None


@dataclass(slots=True)
class Pacer:
    """Lets a `SimulatedEngine` take its steps when their time has come.

    Deadlines add up, so that a late wake-up shortens the next sleep and the mean speed holds on a
    busy machine. A new sequence joins at the next boundary between steps. While there is no
    sequence, nothing runs.

    Attributes:
        boards: of shared GPUs: what memory bandwidth the neighbours use.
        bandwidth_kept: part of a GPU's bandwidth, 0 to 1, that our share of it can draw.
        lag: seconds by which the last step ended too late.
    """

    engine: SimulatedEngine
    time_scale: float = 1.0
    boards: tuple[Board, ...] = ()
    bandwidth_kept: float = 1.0
    lag: float = 0.0
    _busy: float = 0.0
    _step: tuple[float, float] | None = None
    _listeners: dict[int, _Listener] = field(default_factory=dict[int, _Listener])
    _streams: int = 0
    _next_id: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def busy_seconds(self) -> float:
        """Seconds of real time in which the engine computed, up to now."""
        if self._step is None:
            return self._busy
        begin, deadline = self._step
        return self._busy + max(0.0, min(asyncio.get_running_loop().time(), deadline) - begin)

    async def finish(
        self, tokens: int, output: int, blocks: tuple[int, ...], priority: int = 0
    ) -> int:
        """Passes a sequence through the engine. Returns how many of its prompt tokens were in the
        prefix cache.
        """
        id_, listener = self._add(tokens, output, blocks, priority)
        try:
            return await listener.done
        finally:
            self._drop(id_)

    async def stream(
        self, tokens: int, output: int, blocks: tuple[int, ...], priority: int = 0
    ) -> AsyncGenerator[TokenProgress, None]:
        """As `finish`, but yields the progress every few tokens."""
        id_, listener = self._add(tokens, output, blocks, priority)
        listener.progress = queue = asyncio.Queue[TokenProgress]()
        self._streams += 1
        try:
            while True:
                progress = await queue.get()
                yield progress
                if progress.cached_tokens is not None:
                    return
        finally:
            self._streams -= 1
            self._drop(id_)

    async def run(self) -> None:
        """Runs the engine until cancelled."""
        loop = asyncio.get_running_loop()
        deadline = loop.time()
        while True:
            if self.engine.idle:
                self._news.clear()
                await self._news.wait()
                deadline = max(deadline, loop.time())
            begin, step = deadline, self.engine.schedule()
            speed, horizon = self._speed(step), self._horizon()
            steps = step.most if horizon is None else step.steps_by(horizon * speed)
            deadline = begin + step.duration(steps) / speed
            self._step = begin, deadline
            if steps > 1 and await self._interrupted(deadline):
                steps = min(steps, step.steps_by((loop.time() - begin) * speed))
                deadline = begin + step.duration(steps) / speed
                self._step = begin, deadline
            await self._sleep_until(deadline)
            self._busy, self._step = self._busy + deadline - begin, None
            self.lag = max(0.0, loop.time() - deadline)
            self._report(self.engine.commit(step, steps))

    def _horizon(self) -> float | None:
        """Seconds that may pass in one jump; None means until the batch changes."""
        if self._streams:
            return _STREAM_GRAIN
        return _NEIGHBOUR_INTERVAL if self.boards else None

    def _speed(self, step: EngineStep) -> float:
        """Engine seconds per second: fewer while the engines on one of our GPUs together want more
        bandwidth than it has (`hardware.contention`).
        """
        if not self.boards:
            return self.time_scale
        ours = bandwidth_wanted(step.memory_bound, self.bandwidth_kept)
        wanted = ours + max(board.others() for board in self.boards)
        speed = self.time_scale / slowdown(step.memory_bound, wanted)
        for board in self.boards:
            board.post(ours, min(_NEIGHBOUR_INTERVAL, step.duration(step.most) / speed))
        return speed

    def _add(
        self, tokens: int, output: int, blocks: tuple[int, ...], priority: int
    ) -> tuple[int, _Listener]:
        id_, self._next_id = self._next_id, self._next_id + 1
        self.engine.add(EngineSequence(id_, tokens, output, blocks, priority))
        self._news.set()
        listener = _Listener(asyncio.get_running_loop().create_future(), output)
        self._listeners[id_] = listener
        return id_, listener

    def _drop(self, id_: int) -> None:
        """Forgets a sequence. If its caller gave up, it leaves the engine."""
        if self._listeners.pop(id_, None) is not None:
            self.engine.cancel(id_)

    def _report(self, result: StepResult) -> None:
        if self._streams:
            for id_, listener in self._listeners.items():
                self._stream(listener, self.engine.generated(id_), None)
        for id_, cached in result.finished:
            listener = self._listeners.pop(id_, None)
            if listener is not None:
                self._stream(listener, listener.output, cached)
                if not listener.done.done():
                    listener.done.set_result(cached)

    def _stream(self, listener: _Listener, generated: int, cached: int | None) -> None:
        """Sends a stream the tokens that are new since its last progress."""
        new = generated - listener.reported
        if listener.progress is not None and (new > 0 or cached is not None):
            listener.reported = generated
            listener.progress.put_nowait(TokenProgress(new, cached))

    async def _interrupted(self, deadline: float) -> bool:
        """Whether a sequence arrived before the deadline."""
        self._news.clear()
        loop = asyncio.get_running_loop()
        alarm = loop.call_at(deadline - _EPOLL_TICK / 2, self._news.set)
        await self._news.wait()
        alarm.cancel()
        return loop.time() < deadline - _EPOLL_TICK / 2

    async def _sleep_until(self, deadline: float) -> None:
        delay = deadline - _EPOLL_TICK / 2 - asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, delay))
