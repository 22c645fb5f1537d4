"""What an engine adds to the time of its GPU work, by engine kind.

The simulator, the estimates, the predictor and the emulated engine all take these numbers from
here, so that one call alone takes the same time in each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scepsy.core.llm import EngineKind


@dataclass(frozen=True, slots=True)
class HostTime:
    """How one kind of engine uses its host.

    Attributes:
        step: seconds of scheduling and sampling on the CPU in every step, while the GPU waits.
        request: seconds of each request outside of steps (HTTP, tokenizing, detokenizing). Other
            requests go on meanwhile.
        step_tokens: most tokens in one step (vLLM's `max_num_batched_tokens`); a longer prompt is
            computed in chunks.
    """

    step: float
    request: float
    step_tokens: int


# `step` was fitted to 105 measured serving points of Llama-3.1-70B on vLLM; `request` was
# compared with 0 on all 1,295 points and is nearer to them (docs/evaluation/estimates.md).
_VLLM = HostTime(step=1e-3, request=0.015, step_tokens=8192)

# Its "GPU" is a timer. It is meant to be a fast engine: 0.2 ms is at the low end of what real ones
# need (0 to 1.5 ms). Its own HTTP handling takes real time and needs no constant.
_EMULATED = HostTime(step=2e-4, request=0.0, step_tokens=2048)

_BY_ENGINE: Mapping[EngineKind, HostTime] = {
    "emulated": _EMULATED,
    "vllm": _VLLM,
    # Not compared with measurements yet: the value of vLLM, whose design they share.
    "sglang": _VLLM,
    "llamacpp": _VLLM,
    "endpoint": _VLLM,
}


def host_time(engine: EngineKind) -> HostTime:
    return _BY_ENGINE[engine]
