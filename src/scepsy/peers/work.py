"""Duration of a call in seconds, for policies that predict it from its lengths (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scepsy.hardware.step_time import StepLoad, StepTimer
from scepsy.sim.cluster.simulation import Ask

PROMPT_TOKENS = 1024
"""Length of the prompt from whose step time the time per prompt token is taken."""
DECODE_BATCH = 16
"""Sequences in the decode step from which the time per output token is taken."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of one prompt token, and of one output token, of one LLM."""

    prompt_token: float
    output_token: float

    def of(self, ask: Ask) -> float:
        return self.prompt_token * ask.prompt_tokens + self.output_token * (
            ask.output_tokens * ask.items
        )


def costs_of(timer: StepTimer) -> Costs:
    """From the step times that the simulated engine uses, so that no peer is held back by its own
    prediction.
    """
    prompt = timer.seconds(StepLoad(prefill_tokens=PROMPT_TOKENS, attended=PROMPT_TOKENS**2 / 2))
    decode = timer.seconds(StepLoad(decodes=DECODE_BATCH, decode_kv=DECODE_BATCH * PROMPT_TOKENS))
    return Costs(prompt / PROMPT_TOKENS, decode)


CostsOf = Mapping[str, Costs]
"""By LLM."""
