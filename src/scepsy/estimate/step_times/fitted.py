"""Step times as a profile showed them: what one workflow's calls have told of an engine, for the
calls of another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scepsy.core.llm import LlmSpec
from scepsy.core.profile import Curve, Source, StepTime
from scepsy.hardware.step_time import StepLoad

Size = tuple[str, int, float]
"""(LLM, tp, GPU share)."""


@dataclass(frozen=True, slots=True)
class FittedTimer:
    """Steps of the form that was fitted (`StepTime`)."""

    steps: StepTime

    @property
    def per_kv_token(self) -> float:
        return self.steps.kv_token

    def cost(self, load: StepLoad) -> tuple[float, float]:
        """Seconds of a step. What part of them reads memory was not measured: none is said to."""
        fit = self.steps
        seconds = (
            fit.fixed
            + fit.prefill_token * load.prefill_tokens
            + fit.sequence * load.decodes
            + fit.kv_token * load.decode_kv
        )
        return seconds, 0.0


@dataclass(frozen=True, slots=True)
class FittedSteps:
    """Step times of engines that were profiled, by their size."""

    gpu_type: str
    fits: Mapping[Size, StepTime]
    source: Source = "modelled"

    def timer(self, llm: LlmSpec, tp: int, gpu_share: float) -> FittedTimer | None:
        """None where the LLM was not profiled at this size, or too little to fit its steps."""
        steps = self.fits.get((llm.name, tp, gpu_share))
        return None if steps is None else FittedTimer(steps)

    def request(self, llm: LlmSpec) -> float:
        """None: what a call takes outside of its steps is in what was fitted."""
        return 0.0

    def error(self, llm: LlmSpec) -> float:
        """The mean error of the LLM's fits."""
        return max(steps.error for (name, _, _), steps in self.fits.items() if name == llm.name)


def fitted(curves: Iterable[Curve]) -> dict[Size, StepTime]:
    """The best fit of each engine configuration, over the workflows that it was profiled with."""
    best: dict[Size, StepTime] = {}
    for curve in curves:
        size = (curve.llm, curve.tp, curve.gpu_share)
        steps = curve.steps
        if steps is not None and (size not in best or steps.error < best[size].error):
            best[size] = steps
    return best
