"""What each engine adds to the time of its steps, and how wrong estimates are: constants."""

from __future__ import annotations

from dataclasses import dataclass

from scepsy.core.llm import EngineKind
from scepsy.sim.timing import STEP_OVERHEAD


@dataclass(frozen=True, slots=True)
class Overheads:
    """Seconds of host work in every step, seconds of each request outside of steps, and the tokens
    of the largest step.
    """

    step: float
    request: float
    step_tokens: int


_VLLM = Overheads(step=1e-3, request=0.015, step_tokens=8192)
_EMULATED = Overheads(step=STEP_OVERHEAD, request=0.0, step_tokens=2048)


def overheads(engine: EngineKind) -> Overheads:
    """Of an engine on a GPU; one that we have not compared is taken as vLLM."""
    return _EMULATED if engine == "emulated" else _VLLM
