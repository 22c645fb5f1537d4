"""Step times from the constants that were fitted to an engine's rounds (pure)."""

from __future__ import annotations

from dataclasses import dataclass

from scepsy.core.profile import StepTime
from scepsy.hardware.step_time import StepLoad


@dataclass(frozen=True, slots=True)
class FittedTimer:
    """Step times of the fitted form (`StepTime`)."""

    steps: StepTime

    @property
    def per_kv_token(self) -> float:
        return self.steps.kv_token

    def cost(self, load: StepLoad) -> tuple[float, float]:
        """Seconds of a step, and 0: the fraction of it that reads memory was not measured."""
        fit = self.steps
        seconds = (
            fit.fixed
            + fit.prefill_token * load.prefill_tokens
            + fit.sequence * load.decodes
            + fit.kv_token * load.decode_kv
        )
        return seconds, 0.0
