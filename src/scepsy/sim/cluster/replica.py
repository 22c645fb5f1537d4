"""A replica in simulated time: the steps of its engine, and the calls that wait for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from scepsy.hardware.contention import bandwidth_wanted, slowdown
from scepsy.hardware.gpus import bandwidth_kept
from scepsy.sim.cluster.bandwidth import Bandwidth
from scepsy.sim.cluster.event_queue import EventQueue
from scepsy.sim.engine.batch import EngineSequence, EngineStep
from scepsy.sim.engine.continuous_batching import SimulatedEngine

_NOTHING = EngineStep(0.0)


def _nobody(_in_flight: int) -> None: ...


class CallListener(Protocol):
    """Is called when the first token of a sequence is out, and when the sequence has ended.
    `cached`: prompt tokens that were found in the prefix cache.
    """

    def started(self, now: float) -> None: ...
    def ended(self, now: float, cached: int) -> None: ...


class SimulatedReplica:
    """Has an event only when its batch changes; it skips the decode steps between two changes.

    A sequence that arrives while the engine decodes joins at the next boundary between steps.
    `pace` is engine seconds per simulated second: `speed` while no other engine on its GPUs
    computes, less while the engines there together want more bandwidth than there is. A request
    reaches the engine `request_time` engine seconds after it was submitted (`HostTime.request`).
    """

    def __init__(
        self,
        replica: str,
        engine: SimulatedEngine,
        events: EventQueue,
        *,
        gpu_share: float = 1.0,
        gpus: tuple[Bandwidth, ...] = (),
        speed: float = 1.0,
        request_time: float = 0.0,
    ) -> None:
        self.replica = replica
        self.engine = engine
        self.in_flight = 0
        self.capacity = 1.0
        self.healthy = True
        self.busy: list[tuple[float, float]] = []
        self._report: Callable[[int], None] = _nobody
        self._events = events
        self._kept = bandwidth_kept(gpu_share)
        self._gpus = gpus
        self._speed = speed
        self._request_time = request_time / speed
        self._pace: float = speed
        self._listeners: dict[int, CallListener] = {}
        self._step = _NOTHING
        self._steps = 0
        self._busy = False
        self._since = 0.0
        self._done: float = 0.0
        self._busy_since = 0.0
        self._due = 0
        for gpu in gpus:
            gpu.join(self)

    @property
    def preemptions(self) -> int:
        return self.engine.counters.preemptions

    def report_to(self, report: Callable[[int], None]) -> None:
        """From now on calls `report` with `in_flight` whenever it changes."""
        self._report = report

    def submit(self, sequence: EngineSequence, listener: CallListener) -> None:
        """Raises ValueError for a sequence whose KV exceeds the whole cache: at once, or, if a
        request takes time to reach the engine, when it does.
        """
        self._listeners[sequence.id] = listener
        self.in_flight += 1
        self._report(self.in_flight)
        if self._request_time:
            self._events.at(self._events.now + self._request_time, self._enter, sequence)
        else:
            self._enter(sequence)

    def _enter(self, sequence: EngineSequence) -> None:
        self.engine.add(sequence)
        if not self._busy:
            self._busy = True
            self._busy_since = self._events.now
            self._begin()
        elif self._steps > 1 and not self.engine.full:
            self._cut_short()

    def repace(self) -> None:
        """Called when the bandwidth that is left for the replica has changed."""
        if not self._steps:
            return
        now = self._events.now
        pace = self._speed / self._slowdown()
        if pace != self._pace:
            self._done += (now - self._since) * self._pace
            self._since, self._pace = now, pace
            self._await_end()

    def _begin(self) -> None:
        self._step = self.engine.schedule()
        self._steps = self._step.most
        self._since, self._done = self._events.now, 0.0
        if self._gpus:
            self._draw(bandwidth_wanted(self._step.memory_bound, self._kept))
            self._pace = self._speed / self._slowdown()
        self._await_end()

    def _cut_short(self) -> None:
        elapsed = self._done + (self._events.now - self._since) * self._pace
        steps = self._step.steps_by(elapsed)
        if steps < self._steps:
            self._steps = steps
            self._await_end()

    def _await_end(self) -> None:
        self._due += 1
        left = self._step.duration(self._steps) - self._done
        self._events.at(self._since + max(0.0, left) / self._pace, self._end, self._due)

    def _end(self, due: int) -> None:
        if due != self._due:
            return
        now = self._events.now
        result = self.engine.commit(self._step, self._steps)
        self._steps = 0
        if result.finished:
            self.in_flight -= len(result.finished)
            self._report(self.in_flight)
        for id_ in result.started:
            self._listeners[id_].started(now)
        for id_, cached in result.finished:
            self._listeners.pop(id_).ended(now, cached)
        if self.engine.idle:
            self._busy = False
            self.busy.append((self._busy_since, now))
            self._draw(0.0)
        else:
            self._begin()

    def _draw(self, part: float) -> None:
        for gpu in self._gpus:
            gpu.draw(self, part)

    def _slowdown(self) -> float:
        wanted = max([gpu.wanted for gpu in self._gpus], default=0.0)
        return slowdown(self._step.memory_bound, wanted)
