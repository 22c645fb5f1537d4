"""A continuous-batching engine as a pure state machine: what is in the next step, how long it
takes, what it yields.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from scepsy.sim.batch import Counters, Finished, Sequence, Step, StepResult
from scepsy.sim.kv import BLOCK_TOKENS, KvCache, blocks_for
from scepsy.sim.timing import StepLoad, StepTimer


@dataclass(slots=True, eq=False)
class _Entry:
    """A sequence inside the engine. `computed` tokens have their KV; `known` tokens exist; `room`
    tokens fit into the blocks that it holds.
    """

    sequence: Sequence
    known: int
    generated: int = 0
    computed: int = 0
    scheduled: int = 0
    room: int = 0
    shared: list[int] = field(default_factory=list[int])
    cached: int | None = None


class SimulatedEngine:
    """Schedules as vLLM's V1 engine does: who runs goes first, in order of arrival, then who waits,
    until `step_tokens` are spent.

    Long prompts are computed in chunks. When KV blocks run out, the latest arrival loses its own
    and starts over. Nothing here knows the time of day: the caller asks for the next `Step`, lets
    it pass, and calls `commit`. Sequences added in between wait for the next step; cancelled ones
    drop out at once. The order of everything follows from the order of the calls.
    """

    def __init__(
        self, timer: StepTimer, *, kv_tokens: int, max_sequences: int, step_tokens: int = 2048
    ) -> None:
        self.counters = Counters()
        self.kv = KvCache(kv_tokens // BLOCK_TOKENS)
        self._timer = timer
        self._max_sequences = max_sequences
        self._step_tokens = step_tokens
        self._running: list[_Entry] = []
        self._waiting: deque[_Entry] = deque()
        self._batch: list[_Entry] = []

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        return not self._running and not self._waiting

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence. Raises ValueError for one that could never finish, since its KV exceeds
        the whole cache.
        """
        if blocks_for(sequence.prompt_tokens + sequence.output_tokens) > self.kv.capacity:
            raise ValueError(f"sequence {sequence.id} needs more KV than the engine has")
        self._waiting.append(_Entry(sequence, sequence.prompt_tokens))

    def cancel(self, id_: int) -> None:
        """Forget a sequence, wherever it is, and free its blocks."""
        for entry in [*self._running, *self._waiting]:
            if entry.sequence.id == id_:
                self._release(entry)
                (self._running if entry in self._running else self._waiting).remove(entry)
                self._batch = [other for other in self._batch if other is not entry]

    def step(self) -> StepResult:
        """Schedule and commit one step. The engine must not be idle."""
        return self.commit(self.schedule(), 1)

    def schedule(self) -> Step:
        """Form the next batch. The engine must not be idle."""
        self._batch = []
        budget, preempted = self._continue_running(self._step_tokens)
        if not preempted:
            self._admit_waiting(budget)
        load = self._load()
        first = self._timer.seconds(load)
        if load.prefill_tokens or preempted:
            return Step(first)
        return Step(first, self._timer.per_kv_token * load.decodes, self._most_decodes())

    def commit(self, step: Step, steps: int) -> StepResult:
        """The batch of the last `schedule` went through `steps` steps, at most `step.most`."""
        duration = step.duration(steps)
        self.counters.steps += steps
        self.counters.busy_seconds += duration
        emitted: list[tuple[int, int]] = []
        finished: list[Finished] = []
        for entry in self._batch:
            entry.computed += entry.scheduled + steps - 1
            if entry.computed > entry.room:
                self._reserve(entry, entry.computed)
        for entry in self._batch:
            if entry.computed < entry.known + steps - 1:
                continue
            sequence = entry.sequence
            if not entry.generated:
                self.counters.prompt_tokens += sequence.prompt_tokens
            if sequence.output_tokens:
                entry.generated += steps
                entry.known += steps
                self.counters.generation_tokens += steps
                emitted.append((sequence.id, steps))
            if entry.generated == sequence.output_tokens:
                finished.append(Finished(sequence.id, entry.cached or 0))
                self._release(entry)
                self._running.remove(entry)
        self._batch = []
        return StepResult(duration, tuple(emitted), tuple(finished))

    def _continue_running(self, budget: int) -> tuple[int, bool]:
        preempted = False
        index = 0
        while index < len(self._running) and budget > 0:
            entry = self._running[index]
            tokens = min(entry.known - entry.computed, budget)
            while entry.computed + tokens > entry.room and not self._reserve(
                entry, entry.computed + tokens
            ):
                preempted = True
                self._preempt(self._running.pop())
                if index == len(self._running):
                    return budget, preempted
            self._schedule_entry(entry, tokens)
            budget -= tokens
            index += 1
        return budget, preempted

    def _admit_waiting(self, budget: int) -> None:
        while self._waiting and budget > 0 and len(self._running) < self._max_sequences:
            entry = self._waiting[0]
            # The last token is always computed: its logits give the first token of the answer.
            reach = entry.sequence.blocks[: (entry.known - 1) // BLOCK_TOKENS]
            hits = list(reach[: self.kv.match(reach)])
            cached = len(hits) * BLOCK_TOKENS
            tokens = min(entry.known - cached, budget)
            private = blocks_for(cached + tokens) - len(hits)
            if not self.kv.take(hits, private):
                return
            self._waiting.popleft()
            self._running.append(entry)
            entry.computed, entry.shared = cached, hits
            entry.room = (len(hits) + private) * BLOCK_TOKENS
            if entry.cached is None:
                entry.cached = cached
                self.counters.prefix_queries += entry.sequence.prompt_tokens
                self.counters.prefix_hits += cached
            self._schedule_entry(entry, tokens)
            budget -= tokens

    def _schedule_entry(self, entry: _Entry, tokens: int) -> None:
        entry.scheduled = tokens
        self._batch.append(entry)
        if len(entry.shared) < len(entry.sequence.blocks):
            full = (entry.computed + tokens) // BLOCK_TOKENS
            new = entry.sequence.blocks[len(entry.shared) : full]
            self.kv.share(new)
            entry.shared += new

    def _reserve(self, entry: _Entry, tokens: int) -> bool:
        """Blocks for `tokens` tokens, more than there is room for."""
        missing = blocks_for(tokens) - entry.room // BLOCK_TOKENS
        if not self.kv.take((), missing):
            return False
        entry.room += missing * BLOCK_TOKENS
        return True

    def _preempt(self, entry: _Entry) -> None:
        self.counters.preemptions += 1
        self._release(entry)
        self._waiting.appendleft(entry)

    def _release(self, entry: _Entry) -> None:
        self.kv.give(entry.shared, entry.room // BLOCK_TOKENS - len(entry.shared))
        entry.computed, entry.room, entry.shared = 0, 0, []

    def _load(self) -> StepLoad:
        prefill = decodes = decode_kv = 0
        attended = 0.0
        for entry in self._batch:
            if entry.generated and entry.computed == entry.known - 1:
                decodes += 1
                decode_kv += entry.known
            else:
                prefill += entry.scheduled
                attended += entry.scheduled * (entry.computed + entry.scheduled / 2)
        return StepLoad(prefill, attended, decodes, decode_kv)

    def _most_decodes(self) -> int:
        """Steps until a sequence of the batch finishes, as far as the KV cache surely carries them.
        Nobody who waits could join sooner: seats and blocks come free only when somebody finishes.
        """
        most = min(entry.sequence.output_tokens - entry.generated for entry in self._batch)
        missing = sum(
            blocks_for(entry.computed + most) - entry.room // BLOCK_TOKENS
            for entry in self._batch
            if entry.computed + most > entry.room
        )
        return most if missing <= self.kv.available else 1
