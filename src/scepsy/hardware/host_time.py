"""What each engine adds to the time of its steps, and how wrong estimates are: constants."""

from __future__ import annotations

from dataclasses import dataclass

from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.hardware.step_time import STEP_OVERHEAD


@dataclass(frozen=True, slots=True)
class Overheads:
    """Seconds of host work in every step, seconds of each request outside of steps, and the tokens
    of the largest step.
    """

    step: float
    request: float
    step_tokens: int


# The step from 105 serving points of one LLM on vLLM, the request from all (docs, Estimates).
_VLLM = Overheads(step=1e-3, request=0.015, step_tokens=8192)
_EMULATED = Overheads(step=STEP_OVERHEAD, request=0.0, step_tokens=2048)

ERROR = 0.11
ERROR_OF_MIXTURES = 0.25
"""Mean absolute relative error of a call's latency against measured serving points, of dense LLMs
and of mixtures; oracle and roofline do not differ in it (docs, Estimates). That of a measured
table is taken as equal, since what is wrong is the engine beside its steps.
"""


def overheads(engine: EngineKind) -> Overheads:
    """Of an engine on a GPU; one that we have not compared is taken as vLLM."""
    return _EMULATED if engine == "emulated" else _VLLM


def error_of(llm: LlmSpec) -> float:
    """How far an estimated mean latency may be off, relative to itself."""
    return ERROR_OF_MIXTURES if llm.experts else ERROR
