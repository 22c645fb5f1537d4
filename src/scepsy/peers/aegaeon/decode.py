"""A pool member that decodes: the batches of several LLMs take turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from scepsy.core.llm import LlmSpec
from scepsy.hardware.step_time import StepLoad, Timer
from scepsy.peers.aegaeon.batches import DecodeBatch, Decoding, batched
from scepsy.peers.aegaeon.quotas import quotas
from scepsy.peers.aegaeon.weights import Weights
from scepsy.sim.cluster.event_queue import EventQueue
from scepsy.sim.engine.batch import EngineStep

_NOTHING = EngineStep(0.0)


@dataclass(slots=True, eq=False)
class DecodeMember:
    """In a round every batch has one turn. Then the calls are divided into batches again.

    A decoding batch has an event only when a call joins or finishes, and skips the steps between.
    `done` is called with every call at its last token.
    """

    weights: Weights
    timers: Mapping[str, Timer]
    events: EventQueue
    done: Callable[[Decoding], None]
    batches: deque[DecodeBatch] = field(default_factory=deque[DecodeBatch])
    _turns: int = 0
    _running: DecodeBatch | None = None
    _until: float = 0.0
    _step: EngineStep = _NOTHING
    _steps: int = 0
    _since: float = 0.0
    _due: int = 0

    def lacks(self, llm: LlmSpec) -> bool:
        return self.weights.resident is not llm

    def accepts(self, one: Decoding) -> bool:
        """Adds the call to the first batch with room. False if there is none."""
        batch = next((batch for batch in self.batches if batch.fits(one)), None)
        if batch is None:
            return False
        batch.add(one)
        if batch is self._running:
            one.here = True
            self._cut_short()
        return True

    def open(self, one: Decoding) -> None:
        """A new batch for a call that no batch has room for. It waits for the next round."""
        batch = DecodeBatch(one.call.llm, self.weights.memory - one.call.llm.weight_bytes)
        batch.add(one)
        self.batches.append(batch)
        if not self._turns:
            self._round()

    def _round(self) -> None:
        calls = [one for batch in self.batches for one in batch.dissolve()]
        self.batches = deque(batched(calls, self.weights.memory))
        self._turns = len(self.batches)
        if not self.batches:
            return
        llms = {batch.llm.name: batch.llm for batch in self.batches}
        switching = sum(self.weights.loading(llm) for llm in llms.values())
        steps = [self._cost(batch) for batch in self.batches]
        for batch, quota in zip(self.batches, quotas(steps, switching), strict=True):
            batch.quota = quota
        self._turn()

    def _turn(self) -> None:
        batch = self.batches[0]
        seconds = self.weights.switch(batch.llm, self.events.now)
        seconds += batch.move_in() / self.weights.link
        self.events.at(self.events.now + seconds, self._start, batch)

    def _start(self, batch: DecodeBatch) -> None:
        batch.move_in()  # calls that joined during the switch came along
        self._running = batch
        self._until = self.events.now + batch.quota
        self._begin(batch)

    def _begin(self, batch: DecodeBatch) -> None:
        batch.settle()
        self.weights.hold(batch.reserved)
        self.weights.prefetch(self._after(batch), self.events.now)
        decoders = batch.decoders
        growth = self.timers[batch.llm.name].per_kv_token * decoders.count
        self._step = EngineStep(self._cost(batch), growth, decoders.ticks_to_finish())
        self._since = self.events.now
        self._await(self._step.steps_by(max(0.0, self._until - self.events.now)))

    def _after(self, batch: DecodeBatch) -> LlmSpec | None:
        return next((one.llm for one in self.batches if one.llm is not batch.llm), None)

    def _cost(self, batch: DecodeBatch) -> float:
        decoders = batch.decoders
        load = StepLoad(decodes=decoders.count, decode_kv=decoders.tokens)
        return self.timers[batch.llm.name].cost(load)[0]

    def _cut_short(self) -> None:
        steps = self._step.steps_by(self.events.now - self._since)
        if steps < self._steps:
            self._await(steps)

    def _await(self, steps: int) -> None:
        self._steps = steps
        self._due += 1
        self.events.at(self._since + self._step.duration(steps), self._end, self._due)

    def _end(self, due: int) -> None:
        batch = self._running
        if due != self._due or batch is None:
            return
        batch.decoders.advance(self._steps)
        for one in batch.finished():
            self.done(one)
        if batch.calls and self.events.now < self._until - 1e-9:
            self._begin(batch)
        else:
            self._end_turn(batch)

    def _end_turn(self, batch: DecodeBatch) -> None:
        self._running = None
        self._turns -= 1
        self.batches.popleft()
        if self.batches:
            batch.move_out()
            self.weights.hold(0.0)
        if batch.calls:
            self.batches.append(batch)
        if self._turns:
            self._turn()
        else:
            self._round()
