"""Scales fitted step times so that simulated calls take as long as they were measured to (pure)."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence

from scepsy.core.profile import StepTime
from scepsy.curves.rounds import Round
from scepsy.curves.same_calls import same_calls
from scepsy.curves.simulated_engine import EngineModel

SCALE_MAX = 1.5
"""Largest factor, up or down. Step times that are further off are not those of the engine."""

_PRECISION = 1e-3
"""Precision of the logarithm of the factor."""


def scaled(steps: StepTime, factor: float) -> StepTime:
    """Steps that take `factor` times as long."""
    return StepTime(
        fixed=factor * steps.fixed,
        prefill_token=factor * steps.prefill_token,
        sequence=factor * steps.sequence,
        kv_token=factor * steps.kv_token,
        error=steps.error,
    )


def calibrated_engine(
    model_of: Callable[[StepTime], EngineModel], steps: StepTime, rounds: Sequence[Round]
) -> EngineModel | None:
    """The engine with step times scaled so that the calls of all rounds together, sent at the same
    times, take as long as they were measured to; None if no factor up to `SCALE_MAX` does that, or
    if a step without work would take no time.
    """
    measured = sum(sample.latency for one in rounds for sample in one.samples)

    def excess(log_factor: float) -> float:
        engine = model_of(scaled(steps, math.exp(log_factor)))
        again = (same_calls(engine, one.samples) for one in rounds)
        return math.log(sum(sample.latency for samples in again for sample in samples) / measured)

    limit = math.log(SCALE_MAX)
    if not measured or not steps.fixed or not excess(-limit) < 0 < excess(limit):
        return None
    optimize = importlib.import_module("scipy.optimize")  # 0.3 s to import: not before needed
    root = optimize.brentq(excess, -limit, limit, xtol=_PRECISION)
    return model_of(scaled(steps, math.exp(float(root))))
