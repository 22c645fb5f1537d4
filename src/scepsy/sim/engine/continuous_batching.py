"""A continuous-batching engine as a pure state machine: it forms batches, and says how long each
step takes and what it yields.
"""

from __future__ import annotations

import heapq

from scepsy.hardware.memory import BLOCK_TOKENS, blocks_for
from scepsy.hardware.step_time import StepLoad, Timer
from scepsy.sim.engine.batch import (
    Counters,
    EngineSequence,
    EngineStep,
    FinishedSequence,
    StepResult,
)
from scepsy.sim.engine.decoders import ActiveSequence, Decoders
from scepsy.sim.engine.kv_cache import KvCache


class SimulatedEngine:
    """Schedules as vLLM's V1 engine does: first running sequences, then waiting ones by priority
    and arrival, until the budget of `step_tokens` tokens is spent.

    Long prompts are computed in chunks. When KV blocks run out, the last arrival of the least
    urgent priority loses its blocks and starts again (preemption). The engine has no clock: the
    caller asks for the next `EngineStep`, lets its time pass, and calls `commit`. Sequences that
    are added meanwhile wait for the next step; cancelled ones leave at once. The order of
    everything follows from the order of the calls.

    Every running sequence decodes, except the last admitted one, whose prompt may be computed in
    part. The decoding sequences are kept as sums (`Decoders`), so that a step costs the same for
    any number of them.
    """

    def __init__(
        self, timer: Timer, *, kv_tokens: int, max_sequences: int, step_tokens: int = 2048
    ) -> None:
        self.counters = Counters()
        self.kv = KvCache(kv_tokens // BLOCK_TOKENS)
        self._timer = timer
        self._seats = min(max_sequences, step_tokens)
        self._step_tokens = step_tokens
        self._arrived = 0
        self._entries: dict[int, ActiveSequence] = {}
        self._running: dict[int, ActiveSequence] = {}
        self._waiting: list[tuple[int, int, ActiveSequence]] = []
        self._decoders = Decoders()
        self._partial: ActiveSequence | None = None
        self._chunks: list[tuple[ActiveSequence, int]] = []

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        return not self._entries

    @property
    def full(self) -> bool:
        """Whether a new sequence would certainly have to wait for another one to finish."""
        return len(self._running) >= self._seats

    def add(self, sequence: EngineSequence) -> None:
        """Queues a sequence. Raises ValueError if its KV exceeds the whole cache, since it could
        never finish.
        """
        if blocks_for(sequence.prompt_tokens + sequence.output_tokens) > self.kv.capacity:
            raise ValueError(f"sequence {sequence.id} needs more KV than the engine has")
        entry = ActiveSequence(sequence, self._arrived, sequence.prompt_tokens, shared=self.kv.root)
        self._arrived += 1
        self._entries[sequence.id] = entry
        heapq.heappush(self._waiting, (sequence.priority, entry.order, entry))

    def cancel(self, id_: int) -> None:
        """Removes a sequence, queued or running, and frees its blocks."""
        entry = self._entries.pop(id_, None)
        if entry is None:
            return
        if id_ in self._running:
            self._chunks = [chunk for chunk in self._chunks if chunk[0] is not entry]
            self._stop(entry)
        else:
            self._waiting = [other for other in self._waiting if other[2] is not entry]
            heapq.heapify(self._waiting)

    def generated(self, id_: int) -> int:
        """Output tokens of a sequence so far; 0 for an unknown one."""
        entry = self._entries.get(id_)
        if entry is None:
            return 0
        clock = self._decoders.clock if entry.ends >= 0 else 0
        return entry.known + clock - entry.sequence.prompt_tokens

    def step(self) -> StepResult:
        """Schedule and commit one step. The engine must not be idle."""
        return self.commit(self.schedule(), 1)

    def schedule(self) -> EngineStep:
        """Form the next batch. The engine must not be idle."""
        decoders = self._decoders
        preempted = self._cover_decoders()
        self._chunks = []
        budget = self._step_tokens - decoders.count
        if self._partial is not None:
            budget, stopped = self._continue(self._partial, budget)
            preempted = preempted or stopped
        if self._waiting and not preempted:
            self._admit(budget)
        prefill, attended = 0, 0.0
        for entry, tokens in self._chunks:
            prefill += tokens
            attended += tokens * (entry.computed + tokens / 2)
        load = StepLoad(prefill, attended, decoders.count, decoders.tokens)
        first, memory_bound = self._timer.cost(load)
        if prefill or preempted:
            return EngineStep(first, 0.0, 1, memory_bound)
        most = decoders.ticks_to_finish()
        if most > 1:
            most = 1 + decoders.ticks_within(self.kv.available, most - 1)
        growth = self._timer.per_kv_token * decoders.count
        return EngineStep(first, growth, most, memory_bound)

    def commit(self, step: EngineStep, steps: int) -> StepResult:
        """Ends `steps` steps (at most `step.most`) with the batch of the last `schedule`."""
        decoders, counters = self._decoders, self.counters
        duration = step.duration(steps)
        counters.steps += steps
        counters.busy_seconds += duration
        counters.generation_tokens += steps * decoders.count
        if steps > 1:
            self.kv.take(decoders.blocks(decoders.covered, decoders.clock + steps))
        decoders.advance(steps)
        finished = [self._finish(entry) for entry in decoders.finished()]
        started: list[int] = []
        for entry, tokens in self._chunks:
            entry.computed += tokens
            if entry.computed == entry.known:
                self._prompt_done(entry, started, finished)
        self._chunks = []
        return StepResult(duration, started, finished)

    def _prompt_done(
        self, entry: ActiveSequence, started: list[int], finished: list[FinishedSequence]
    ) -> None:
        """The last chunk of a prompt, or of a prompt that is computed again, yields a token."""
        sequence = entry.sequence
        if entry is self._partial:
            self._partial = None
        if entry.known == sequence.prompt_tokens:
            started.append(sequence.id)
            self.counters.prompt_tokens += sequence.prompt_tokens
        if sequence.output_tokens:
            entry.known += 1
            self.counters.generation_tokens += 1
        if entry.known == sequence.prompt_tokens + sequence.output_tokens:
            finished.append(self._finish(entry))
        else:
            self._decoders.join(entry)

    def _finish(self, entry: ActiveSequence) -> FinishedSequence:
        del self._entries[entry.sequence.id]
        self._stop(entry)
        return FinishedSequence(entry.sequence.id, max(0, entry.cached))

    def _cover_decoders(self) -> bool:
        """Takes the blocks that the decoders need for one step. Returns whether a sequence was
        preempted.
        """
        decoders, preempted = self._decoders, False
        while (need := decoders.blocks_now) and not self.kv.take(need):
            preempted = True
            self._preempt_last()
        decoders.covered = decoders.clock + 1
        return preempted

    def _continue(self, entry: ActiveSequence, budget: int) -> tuple[int, bool]:
        """The next chunk of a prompt that is computed in part. Returns what is left of the budget,
        and whether a sequence was preempted.
        """
        preempted = False
        tokens = min(entry.known - entry.computed, budget)
        more = blocks_for(entry.computed + tokens) - entry.blocks
        while not self.kv.take(more):
            preempted = True
            if self._preempt_last() is entry:
                return budget, preempted
        self._compute(entry, tokens)
        return budget - tokens, preempted

    def _admit(self, budget: int) -> None:
        kv = self.kv
        while self._waiting and budget > 0 and len(self._running) < self._seats:
            entry = self._waiting[0][2]
            # The last token is always computed: its logits give the first token of the answer.
            hits = kv.match(entry.sequence.blocks, (entry.known - 1) // BLOCK_TOKENS)
            cached = hits.blocks * BLOCK_TOKENS
            tokens = min(entry.known - cached, budget)
            shared = kv.admit(hits, blocks_for(cached + tokens) - hits.blocks)
            if shared is None:
                return
            heapq.heappop(self._waiting)
            self._running[entry.sequence.id] = entry
            entry.computed, entry.shared = cached, shared
            if entry.cached < 0:
                entry.cached = cached
                self.counters.prefix_queries += entry.sequence.prompt_tokens
                self.counters.prefix_hits += cached
            self._compute(entry, tokens)
            budget -= tokens

    def _compute(self, entry: ActiveSequence, tokens: int) -> None:
        """Puts a chunk into the batch. A prompt that is not complete continues in the next step."""
        self._chunks.append((entry, tokens))
        reached = entry.computed + tokens
        entry.blocks = blocks_for(reached)
        self._partial = entry if reached < entry.known else None
        prompt = entry.sequence.blocks
        if prompt:
            full = min(len(prompt), reached // BLOCK_TOKENS)
            if full > entry.shared.stop:
                entry.shared = self.kv.share(entry.shared, prompt, full)

    def _preempt_last(self) -> ActiveSequence:
        entry = max(self._running.values(), key=lambda one: (one.sequence.priority, one.order))
        self.counters.preemptions += 1
        self._stop(entry)
        heapq.heappush(self._waiting, (entry.sequence.priority, entry.order, entry))
        return entry

    def _stop(self, entry: ActiveSequence) -> None:
        """Takes a sequence out of the batch and frees its blocks."""
        del self._running[entry.sequence.id]
        blocks = self._decoders.leave(entry) if entry.ends >= 0 else entry.blocks
        if entry is self._partial:
            self._partial = None
        self.kv.give(entry.shared, blocks - entry.shared.stop)
        entry.computed, entry.blocks, entry.shared = 0, 0, self.kv.root
