"""The calls of a measured round, sent again to a simulated engine at the same times (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from scepsy.curves.rounds import Sample
from scepsy.curves.simulated_engine import EngineModel
from scepsy.hardware.memory import BLOCK_TOKENS
from scepsy.sim.cluster.event_queue import EventQueue
from scepsy.sim.engine.batch import EngineSequence


def same_calls(engine: EngineModel, samples: Sequence[Sample]) -> list[Sample]:
    """The samples of one round with the latencies that the simulated engine has for them.

    Send times and lengths are the measured ones, and calls are served in the order in which they
    were sent, as in the round. As many prompt tokens of each call are in the prefix cache as were
    in the round: they are taken to be the beginning of one prompt that all calls share. Raises
    ValueError for a call whose KV exceeds the engine's cache.
    """
    events = EventQueue()
    replica = engine.replica(events)
    most = max((_cached_blocks(sample) for sample in samples), default=0)
    if most:
        prompt = EngineSequence(0, most * BLOCK_TOKENS + 1, 1, _shared(most))
        replica.submit(prompt, _Answer())
        events.run()
    begin = events.now
    answers = [_Answer() for _ in samples]

    def send(index: int) -> None:
        sample, blocks = samples[index], _shared(_cached_blocks(samples[index]))
        prompt = max(1, sample.prompt_tokens)
        sequence = EngineSequence(index + 1, prompt, sample.output_tokens, blocks)
        replica.submit(sequence, answers[index])

    for index, sample in enumerate(samples):
        events.at(begin + sample.sent, send, index)
    events.run()
    return [
        msgspec.structs.replace(sample, latency=answer.end - begin - sample.sent)
        for sample, answer in zip(samples, answers, strict=True)
    ]


@dataclass(slots=True)
class _Answer:
    """Notes when a call has ended, in simulated seconds."""

    end: float = 0.0

    def started(self, now: float) -> None: ...

    def ended(self, now: float, cached: int) -> None:
        self.end = now


def _cached_blocks(sample: Sample) -> int:
    return sample.cached_tokens // BLOCK_TOKENS


def _shared(blocks: int) -> tuple[int, ...]:
    return tuple(range(1, blocks + 1))
