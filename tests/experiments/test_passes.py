"""Ayo's passes: the same calls with the same answers, and only prompts known early besides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from types import GeneratorType

from experiments.evaluation.passes import passed, streamed

from scepsy.hardware.memory import BLOCK_TOKENS as BLOCK
from scepsy.sim.cluster.simulation import Ask
from scepsy.sim.workload.program import Effect, Steps


def asks(effect: Effect) -> Iterator[Ask]:
    if isinstance(effect, Ask):
        yield effect
    elif isinstance(effect, GeneratorType | Sequence):
        for one in effect:
            yield from asks(one)


def beam() -> Steps:
    """Two rounds of two beams, each expanded twice."""
    for level in (1, 2):
        beams = [tuple(range(20 * beam, 20 * beam + 4 * level)) for beam in (0, 0, 1, 1)]
        yield [Ask("generator", len(one) * BLOCK + 9, 60, one) for one in beams]
        yield [Ask("verifier", len(one) * BLOCK + 90, 1, one) for one in beams]


def rag() -> Steps:
    yield Ask("embedder", 30, 0)
    yield 0.02
    passages = tuple(range(60))
    yield Ask("writer", 60 * BLOCK + 40, 200, passages)
    yield Ask("writer", 60 * BLOCK + 260, 4, passages)


def test_beam_search_keeps_its_calls_and_announces_what_the_verifier_will_read() -> None:
    before, after = Counter(asks(beam())), Counter(asks(passed(beam())))
    assert not before - after
    early = list((after - before).elements())
    assert len(early) == 4  # two beams in each of two rounds
    for ask in early:
        assert (ask.llm, ask.output_tokens) == ("verifier", 0)
        assert ask.prompt_tokens == BLOCK * len(ask.blocks)
        assert any(ask.blocks == check.blocks for check in before if check.llm == "verifier")


def test_streamed_answers_leave_one_token_of_the_prompts_that_hold_them() -> None:
    for program, holds, count in ((rag, "writer", 1), (beam, "verifier", 8)):
        before, after = list(asks(program())), list(asks(streamed(program())))
        assert [one.llm for one in after] == [one.llm for one in before]
        shorter = [new for old, new in zip(before, after, strict=True) if new != old]
        assert len(shorter) == count
        assert all(one.llm == holds for one in shorter)
        assert all(one.prompt_tokens == BLOCK * len(one.blocks) + 1 for one in shorter)
