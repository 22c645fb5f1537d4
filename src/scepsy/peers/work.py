"""The work of a call in seconds, as policies that predict it reckon (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scepsy.hardware.step_time import StepLoad, StepTimer
from scepsy.sim.cluster.simulation import Ask

PROMPT = 1024
"""Tokens of the prompt whose step tells what one costs."""
BATCH = 16
"""Sequences that share a decode step, in a replica that is in use."""


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
    """From the same step times as the engine's: peers predict as well as can be."""
    prompt = timer.seconds(StepLoad(prefill_tokens=PROMPT, attended=PROMPT**2 / 2))
    decode = timer.seconds(StepLoad(decodes=BATCH, decode_kv=BATCH * PROMPT))
    return Costs(prompt / PROMPT, decode)


CostsOf = Mapping[str, Costs]
"""By LLM."""
