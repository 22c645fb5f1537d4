"""The decoding sequences of a batch, kept as sums: a step costs the same for any number of them."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from scepsy.hardware.memory import BLOCK_TOKENS, blocks_for
from scepsy.sim.engine.batch import EngineSequence
from scepsy.sim.engine.kv_cache import RadixNode, root_node


@dataclass(slots=True, eq=False)
class ActiveSequence:
    """A sequence inside the engine.

    Attributes:
        order: its number in order of arrival.
        known: tokens that exist. While it decodes, this number minus the decoders' clock.
        computed: tokens whose KV is in the cache. Not updated while it decodes.
        blocks: KV blocks that it holds. Not updated while it decodes.
        shared: the last node of the radix tree whose blocks it shares.
        cached: tokens found in the cache when it was first admitted.
        ends: the clock at which it finishes decoding; -1 while it does not decode.
    """

    sequence: EngineSequence
    order: int
    known: int
    computed: int = 0
    blocks: int = 0
    shared: RadixNode = field(default_factory=root_node)
    cached: int = -1
    ends: int = -1


@dataclass(slots=True)
class Decoders:
    """Each of `count` sequences gets one more token with each tick of `clock`. Before that tick
    they have `tokens` tokens in total.

    A sequence of n tokens needs KV blocks for n - 1 of them, so it needs one more block at every
    16th tick. `covered` is the tick up to which blocks were taken: `clock`, or one more while a
    step runs.
    """

    clock: int = 0
    covered: int = 0
    count: int = 0
    tokens: int = 0
    _phases: list[int] = field(default_factory=lambda: [0] * BLOCK_TOKENS)
    _ends: list[tuple[int, int, ActiveSequence]] = field(
        default_factory=list[tuple[int, int, ActiveSequence]]
    )

    def join(self, entry: ActiveSequence) -> None:
        """Adds an entry whose prompt is computed and that has tokens to come."""
        left = entry.sequence.prompt_tokens + entry.sequence.output_tokens - entry.known
        entry.ends = self.clock + left
        heapq.heappush(self._ends, (entry.ends, entry.order, entry))
        self.count += 1
        self.tokens += entry.known
        entry.known -= self.clock
        self._phases[(1 - entry.known) % BLOCK_TOKENS] += 1

    def leave(self, entry: ActiveSequence) -> int:
        """Removes an entry. Returns the number of blocks that it holds."""
        self._phases[(1 - entry.known) % BLOCK_TOKENS] -= 1
        blocks = blocks_for(entry.known + self.covered - 1)
        entry.known += self.clock
        entry.ends = -1
        self.count -= 1
        self.tokens -= entry.known
        return blocks

    def advance(self, steps: int) -> None:
        self.clock += steps
        self.covered = self.clock
        self.tokens += steps * self.count

    def finished(self) -> list[ActiveSequence]:
        """Entries that finish at this tick, in order of arrival. They stay until `leave`."""
        done: list[ActiveSequence] = []
        ends = self._ends
        while ends and ends[0][0] <= self.clock:
            end, _, entry = heapq.heappop(ends)
            if entry.ends == end:
                done.append(entry)
        return done

    def ticks_to_finish(self) -> int:
        """Ticks until the first entry finishes. There must be an entry."""
        ends = self._ends
        while ends[0][2].ends != ends[0][0]:
            heapq.heappop(ends)
        return ends[0][0] - self.clock

    @property
    def blocks_now(self) -> int:
        """Blocks that the sequences need for the next tick."""
        return self._phases[self.clock % BLOCK_TOKENS]

    def blocks(self, start: int, stop: int) -> int:
        """Blocks that the sequences need for the ticks from `start` up to `stop`."""
        rounds, rest = divmod(stop - start, BLOCK_TOKENS)
        first = start % BLOCK_TOKENS
        last = first + rest
        need = rounds * self.count + sum(self._phases[first:last])
        return need + sum(self._phases[: last - BLOCK_TOKENS]) if last > BLOCK_TOKENS else need

    def ticks_within(self, blocks: int, most: int) -> int:
        """The highest number of ticks after `covered`, at most `most`, for which `blocks` blocks
        suffice.
        """
        if not self.count or self.count * (most // BLOCK_TOKENS + 1) <= blocks:
            return most
        rounds, rest = divmod(blocks, self.count)
        ticks = rounds * BLOCK_TOKENS
        while ticks < most:
            rest -= self._phases[(self.covered + ticks) % BLOCK_TOKENS]
            if rest < 0:
                break
            ticks += 1
        return min(ticks, most)
