"""How engines differ in what they put into a step: vLLM's way, SGLang's and TensorRT-LLM's.

Sources: SGLang's `enable_mixed_chunk` is off by default, so prompts that wait are computed in steps
of their own, before anybody decodes on. TensorRT-LLM's default capacity policy,
`GUARANTEED_NO_EVICT`, admits a call only if it can finish; without chunked context (off by default)
a prompt is in one step whole; `batch_wait_timeout_iters` holds prompts back until there are enough
of them.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left

from scepsy.hardware.memory import BLOCK_TOKENS, blocks_for
from scepsy.hardware.step_time import StepLoad, Timer
from scepsy.sim.cluster.event_queue import EventQueue
from scepsy.sim.engine.batch import EngineStep, FinishedSequence, StepResult
from scepsy.sim.engine.continuous_batching import SimulatedEngine
from scepsy.sim.engine.decoders import ActiveSequence

INSTANT = 1e-9
SEATS = 1024
MOST_PROMISED = 4096
PROMISED = 0.7
"""SGLang keeps that part of the tokens free that running calls have to come, and counts at most
4,096 tokens to come of each call (its initial `new_token_ratio`, and its clip of `max_new_tokens`).
"""


class Watched(SimulatedEngine):
    """vLLM's way; remembers how much was done when."""

    def __init__(self, events: EventQueue, timer: Timer, kv_tokens: int, step_tokens: int) -> None:
        super().__init__(timer, kv_tokens=kv_tokens, max_sequences=SEATS, step_tokens=step_tokens)
        self._events = events
        self._begins, self._ends, self._done = [0.0], [0.0], [(0, 0)]

    def commit(self, step: EngineStep, steps: int) -> StepResult:
        result = super().commit(step, steps)
        self._remember(result.duration)
        return result

    def done_by(self, time: float) -> tuple[int, int]:
        """Steps that were done at a moment, the one that goes on then with them, and the tokens
        that were generated in them.
        """
        place = min(bisect_left(self._ends, time - INSTANT), len(self._ends) - 1)
        idle = place > 0 and self._begins[place] >= time - INSTANT
        return self._done[place - 1 if idle else place]

    def _remember(self, duration: float) -> None:
        self._begins.append(self._events.now - duration)
        self._ends.append(self._events.now)
        self._done.append((self.counters.steps, self.counters.generation_tokens))

    def _take(self, entry: ActiveSequence, tokens: int) -> bool:
        """Admit who is first in the queue, if there are blocks; nothing is shared here."""
        if not self.kv.take(blocks_for(tokens)):
            return False
        heapq.heappop(self._waiting)
        self._running[entry.sequence.id] = entry
        self._compute(entry, tokens)
        return True


class PromptsFirst(Watched):
    """SGLang's way."""

    _alone = False

    def schedule(self) -> EngineStep:
        self._chunks = []
        budget = self._step_tokens
        if self._partial is not None:
            budget, _ = self._continue(self._partial, budget)
        if self._waiting:
            self._admit(budget)
        self._alone = bool(self._chunks)
        if not self._alone:
            return super().schedule()
        prefill = sum(tokens for _, tokens in self._chunks)
        attended = sum(tokens * (entry.computed + tokens / 2) for entry, tokens in self._chunks)
        first, memory = self._timer.cost(StepLoad(prefill, attended, 0, 0))
        return EngineStep(first, 0.0, 1, memory)

    def commit(self, step: EngineStep, steps: int) -> StepResult:
        if not self._alone:
            return super().commit(step, steps)
        self.counters.steps += 1
        self.counters.busy_seconds += step.first
        started: list[int] = []
        finished: list[FinishedSequence] = []
        for entry, tokens in self._chunks:
            entry.computed += tokens
            if entry.computed == entry.known:
                self._prompt_done(entry, started, finished)
        self._chunks, self._alone = [], False
        self._remember(step.first)
        return StepResult(step.first, started, finished)

    def _admit(self, budget: int) -> None:
        promised = sum(self._to_come(entry) for entry in self._running.values())
        room = self.kv.available * BLOCK_TOKENS - PROMISED * promised
        while self._waiting and budget > 0 and len(self._running) < self._seats:
            entry = self._waiting[0][2]
            room -= entry.known + self._to_come(entry)
            tokens = min(entry.known, budget)
            if (room < 0 and self._running) or not self._take(entry, tokens):
                return
            budget -= tokens

    def _preempt_last(self) -> ActiveSequence:
        """It may come back without the clock having moved, so nothing may be left of it."""
        entry = super()._preempt_last()
        ends = self._decoders._ends  # noqa: SLF001
        ends[:] = [one for one in ends if one[2] is not entry]
        heapq.heapify(ends)
        return entry

    def _to_come(self, entry: ActiveSequence) -> int:
        sequence = entry.sequence
        return min(MOST_PROMISED, sequence.output_tokens - self.generated(sequence.id))


class NoEviction(Watched):
    """TensorRT-LLM's way. Prompts wait for up to `wait` steps while somebody decodes, unless they
    fill `WAIT_UNTIL` of a step.
    """

    WAIT_UNTIL = 0.9

    def __init__(
        self, events: EventQueue, timer: Timer, kv_tokens: int, step_tokens: int, wait: int
    ) -> None:
        super().__init__(events, timer, kv_tokens, step_tokens)
        self._wait, self._waited, self._held_back = wait, 0, False

    def schedule(self) -> EngineStep:
        self._held_back = False
        step = super().schedule()
        if self._held_back:
            return step._replace(most=min(step.most, self._wait - self._waited))
        return step

    def commit(self, step: EngineStep, steps: int) -> StepResult:
        self._waited = self._waited + steps if self._held_back else 0
        return super().commit(step, steps)

    def _admit(self, budget: int) -> None:
        if self._waited < self._wait and self._decoders.count:
            waiting = sum(entry.known for _, _, entry in self._waiting)
            if waiting < self.WAIT_UNTIL * self._step_tokens:
                self._held_back = True
                return
        promised = sum(_in_the_end(entry) for entry in self._running.values())
        while self._waiting and len(self._running) < self._seats:
            entry = self._waiting[0][2]
            promised += _in_the_end(entry)
            too_long = self._chunks and entry.known > budget
            if too_long or promised > self.kv.capacity or not self._take(entry, entry.known):
                return
            budget -= entry.known


def _in_the_end(entry: ActiveSequence) -> int:
    return blocks_for(entry.sequence.prompt_tokens + entry.sequence.output_tokens)
