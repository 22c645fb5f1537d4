"""The evaluation's workflows: programs in simulated time, and the LLMs that they call.

Lengths and counts are ours, chosen within what `facts/agents.md` and the paper report: its beam
search makes 24 to 844 calls per request, ours 24 to 540.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial

from evaluation import coding
from scepsy.core.llm import LlmSpec
from scepsy.hardware.architectures import shape_called
from scepsy.sim.cluster.simulation import Ask
from scepsy.sim.workload.program import Program, Steps

BLOCK = 16
COMMON = tuple(range(1, 9))
"""The instructions that open every prompt: 128 tokens, the same for all runs."""
STEP_BLOCKS = 4
EXPANSIONS = 4
SEATS = 256
"""Sequences in a batch, vLLM's usual limit."""


LONG = 70_000
"""Tokens of context of the LLMs of coding agents."""


def llm(name: str, architecture: str, kind: str = "generate", context: int = 0) -> LlmSpec:
    shape = {**shape_called(architecture), "kind": kind, "max_sequences": SEATS}
    if context:
        shape |= {"max_context": context, "min_kv_tokens": context}
    return LlmSpec(name=name, **shape)


LLMS = (
    llm("generator", "llama-3.1-8b"),
    llm("verifier", "mistral-7b"),
    llm("embedder", "qwen3-embedding-0.6b", "embed"),
    llm("reranker", "qwen3-reranker-0.6b", "rerank"),
    llm("writer", "qwen3-32b"),
    llm(coding.MAIN, "llama-3.1-70b-fp8", context=LONG),
    llm(coding.SUB, "llama-3.1-8b", context=LONG),
)


def beam_search(rng: random.Random) -> Steps:
    """Every round each beam is expanded in four ways, and each of these verified; the best stay.

    A stage is minus the number of stages that are still to come.
    """
    width, rounds = rng.choice((1, 2, 3, 4, 6)), rng.randint(3, 11)
    fresh = rng.randrange(1 << 60)
    beams = [(*COMMON, *range(fresh, fresh + rng.randint(4, 20)))] * width
    for left in range(rounds - 1, -1, -1):
        expanded = [beam for beam in beams for _ in range(EXPANSIONS)]
        lengths = [max(8, round(rng.gauss(64, 20))) for _ in expanded]
        yield [
            Ask("generator", len(beam) * BLOCK + 9, length, beam, -2 * left - 1)
            for beam, length in zip(expanded, lengths, strict=True)
        ]
        yield [
            Ask("verifier", len(beam) * BLOCK + 30 + length, 1, beam, -2 * left)
            for beam, length in zip(expanded, lengths, strict=True)
        ]
        kept = rng.sample(expanded, width)
        fresh = rng.randrange(1 << 60)
        beams = [
            (*beam, *range(fresh + index * STEP_BLOCKS, fresh + (index + 1) * STEP_BLOCKS))
            for index, beam in enumerate(kept)
        ]


def rag(writer: str, rng: random.Random) -> Steps:
    """Search, rerank, write, check; the check fails three times in ten, up to three rounds."""
    for left in (2, 1, 0):
        yield Ask("embedder", rng.randint(12, 60), 0, (), -4 * left - 3)
        yield 0.02  # the vector index
        yield Ask("reranker", 24 * rng.randint(150, 250), 0, (), -4 * left - 2, items=24)
        fresh = rng.randrange(1 << 60)
        passages = (*COMMON, *range(fresh, fresh + rng.randint(50, 80)))
        length = max(20, round(rng.gauss(220, 70)))
        prompt = len(passages) * BLOCK
        yield Ask(writer, prompt + 40, length, passages, -4 * left - 1)
        yield Ask(writer, prompt + 60 + length, 4, passages, -4 * left)
        if rng.random() < 0.7:
            return


def research(rng: random.Random) -> Steps:
    """A brief; then side by side two to five searches, each digested when it has come back, and a
    critique by another LLM; a report. Different LLMs and tools at once, for E2.
    """
    fresh = rng.randrange(1 << 60)
    brief = (*COMMON, *range(fresh, fresh + 12))
    searches = [
        (rng.uniform(0.2, 1.5), rng.randint(800, 2400), rng.randint(80, 240))
        for _ in range(rng.randint(2, 5))
    ]
    yield Ask("writer", len(brief) * BLOCK + 20, rng.randint(60, 160), brief)

    def digest(wait: float, prompt: int, length: int) -> Steps:
        yield wait
        yield Ask("generator", prompt, length)

    yield [
        *(digest(*one) for one in searches),
        Ask("verifier", len(brief) * BLOCK + 300, rng.randint(150, 450), brief),
    ]
    yield Ask("writer", len(brief) * BLOCK + 900, rng.randint(150, 350), brief)


def programs(seed: int) -> Mapping[str, Program]:
    """By workflow. A seed is one series of runs."""
    steps = {
        "beam_search": beam_search,
        "rag": partial(rag, "writer"),
        "rag_small": partial(rag, "generator"),
        "coding": coding.turn,
        "research": research,
    }
    return {name: Program(name, of, seed) for name, of in steps.items()}


CASES: Mapping[str, Mapping[str, float]] = {
    "beam_search": {"beam_search": 1.0},
    "rag": {"rag": 1.0},
    "both": {"beam_search": 1.0, "rag": 4.0},
    "coding": {"coding": 1.0},
    "shared": {"beam_search": 1.0, "rag_small": 4.0},
    "research": {"research": 1.0},
}
"""By case: the workflows and the proportion of their rates. In "both" they share no LLM, in
"shared" the generator.
"""
