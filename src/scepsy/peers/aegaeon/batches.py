"""Calls of one LLM that decode together on a pool member."""

from __future__ import annotations

from dataclasses import dataclass, field

from scepsy.core.llm import LlmSpec
from scepsy.peers.aegaeon.prefill import PooledCall
from scepsy.peers.aegaeon.weights import kv_bytes
from scepsy.sim.engine.decoders import ActiveSequence, Decoders


@dataclass(slots=True, eq=False)
class Decoding:
    """A call that decodes. `here`: its KV is on the GPUs (True) or in host memory (False)."""

    call: PooledCall
    entry: ActiveSequence
    here: bool = False

    @property
    def reserved(self) -> float:
        """Bytes of KV after its last token."""
        sequence = self.call.sequence
        return kv_bytes(self.call.llm, sequence.prompt_tokens + sequence.output_tokens)


@dataclass(slots=True, eq=False)
class DecodeBatch:
    """Calls of one LLM that decode together. `room` (bytes of KV) and the LLM's `max_sequences`
    limit it. `quota`: seconds of its next turn. An added call decodes from the next `settle` on.
    """

    llm: LlmSpec
    room: float
    quota: float = 0.0
    decoders: Decoders = field(default_factory=Decoders)
    calls: dict[int, Decoding] = field(default_factory=dict[int, Decoding])
    reserved: float = 0.0
    _joining: list[Decoding] = field(default_factory=list[Decoding])

    def fits(self, one: Decoding) -> bool:
        return (
            one.call.llm is self.llm
            and len(self.calls) < self.llm.max_sequences
            and self.reserved + one.reserved <= self.room
        )

    def add(self, one: Decoding) -> None:
        self.calls[one.entry.sequence.id] = one
        self.reserved += one.reserved
        self._joining.append(one)

    def settle(self) -> None:
        for one in self._joining:
            self.decoders.join(one.entry)
        self._joining.clear()

    def finished(self) -> list[Decoding]:
        """Removes and returns the calls whose answers are complete."""
        done = [self.calls[entry.sequence.id] for entry in self.decoders.finished()]
        for one in done:
            self._remove(one)
        return done

    def dissolve(self) -> list[Decoding]:
        """Removes and returns all calls."""
        self.settle()
        left = list(self.calls.values())
        for one in left:
            self._remove(one)
        return left

    def move_in(self) -> float:
        """Marks all calls as on the GPUs. Returns the bytes of KV to transfer from the host."""
        self.settle()
        absent = [one for one in self.calls.values() if not one.here]
        for one in absent:
            one.here = True
        return sum(kv_bytes(self.llm, one.entry.known + self.decoders.clock) for one in absent)

    def move_out(self) -> None:
        for one in self.calls.values():
            one.here = False

    def _remove(self, one: Decoding) -> None:
        del self.calls[one.entry.sequence.id]
        self.reserved -= one.reserved
        self.decoders.leave(one.entry)


def batched(calls: list[Decoding], memory: float) -> list[DecodeBatch]:
    """Puts each call, in order of arrival, into the first batch of its LLM with room. Sorted by
    LLM.
    """
    found: list[DecodeBatch] = []
    for one in sorted(calls, key=lambda one: one.entry.order):
        batch = next((batch for batch in found if batch.fits(one)), None)
        if batch is None:
            batch = DecodeBatch(one.call.llm, memory - one.call.llm.weight_bytes)
            found.append(batch)
        batch.add(one)
    for batch in found:
        batch.settle()
    return sorted(found, key=lambda batch: batch.llm.name)
