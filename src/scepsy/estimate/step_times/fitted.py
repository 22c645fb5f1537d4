"""Step times that were fitted to a profile, so that an engine measured with one workflow can be
estimated for another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scepsy.core.llm import LlmSpec
from scepsy.core.profile import Curve, Source, StepTime
from scepsy.curves.fitted_timer import FittedTimer

Size = tuple[str, int, float]
"""(LLM, tp, GPU share)."""


@dataclass(frozen=True, slots=True)
class FittedSteps:
    """Step times of the engines that were profiled, by size."""

    gpu_type: str
    fits: Mapping[Size, StepTime]
    source: Source = "modelled"

    def timer(self, llm: LlmSpec, tp: int, gpu_share: float) -> FittedTimer | None:
        """None if the LLM was not profiled at this size, or not enough for a fit."""
        steps = self.fits.get((llm.name, tp, gpu_share))
        return None if steps is None else FittedTimer(steps)

    def request(self, llm: LlmSpec) -> float:
        """0: the time of a call outside of its steps is part of the fit."""
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
