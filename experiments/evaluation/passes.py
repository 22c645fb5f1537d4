"""Ayo's passes over a workflow's graph, as far as they can be said of a program: as rewrites."""

from __future__ import annotations

from scepsy.hardware.memory import BLOCK_TOKENS
from scepsy.sim.cluster.simulation import Ask
from scepsy.sim.workload.program import Effect, Steps


def passed(steps: Steps) -> Steps:
    """Beam search, whose effects are candidates, then their verifications, by turns."""
    for candidates in steps:
        checks = next(steps)
        known = {check.blocks: check.llm for check in checks}
        early = [Ask(llm, len(blocks) * BLOCK_TOKENS, 0, blocks) for blocks, llm in known.items()]
        yield [*early, *[_after(one, check) for one, check in zip(candidates, checks, strict=True)]]


def streamed(steps: Steps) -> Steps:
    """Calls whose prompt holds an answer find all of it computed but for the last token."""
    if (first := next(steps, None)) is None:
        return
    yield first
    before: Effect = first
    for effect in steps:
        yield _computed(effect) if _answers(before, effect) else effect
        before = effect


def _after(one: Ask, check: Ask) -> Steps:
    yield one
    yield check


def _answers(before: Effect, effect: Effect) -> bool:
    """Whether the second's prompts are the first's and their answers."""
    if isinstance(before, Ask) and isinstance(effect, Ask):
        return bool(effect.blocks) and effect.blocks == before.blocks
    if isinstance(before, list) and isinstance(effect, list):
        return all(_answers(*pair) for pair in zip(before, effect, strict=False))
    return False


def _computed(effect: Effect) -> Effect:
    if isinstance(effect, Ask):
        return effect._replace(prompt_tokens=len(effect.blocks) * BLOCK_TOKENS + 1)
    assert isinstance(effect, list)
    return [_computed(one) for one in effect]
