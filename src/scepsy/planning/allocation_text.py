"""Allocations in words (pure)."""

from __future__ import annotations

from scepsy.core.plan import Allocation, LlmAllocation, size_name


def describe(part: LlmAllocation) -> str:
    """One LLM's allocation in a few words: "2 x TP4", "3 x 0.4 GPU"."""
    return f"{part.replicas} x {size_name(part.tp, part.gpu_share)}"


def describe_all(allocation: Allocation) -> str:
    """Every LLM's: "generator 2 x TP4, verifier 3 x 0.4 GPU"."""
    return ", ".join(f"{part.llm} {describe(part)}" for part in allocation.llms)


def differences(ours: Allocation, theirs: Allocation) -> str:
    """What `theirs` has instead: "generator 4 x TP2 instead of 2 x TP4"."""
    mine = {part.llm: describe(part) for part in ours.llms}
    return "; ".join(
        f"{part.llm} {describe(part)} instead of {mine.get(part.llm, 'none')}"
        for part in theirs.llms
        if describe(part) != mine.get(part.llm)
    )
