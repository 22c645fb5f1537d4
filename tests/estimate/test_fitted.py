"""Step times that one workflow has shown, for the calls of another."""

from __future__ import annotations

from msgspec.structs import replace

from builders import curve
from scepsy.core.llm import LlmSpec
from scepsy.core.profile import StepTime
from scepsy.estimate.step_times.fitted import FittedSteps, fitted
from scepsy.hardware.step_time import StepLoad

GOOD = StepTime(fixed=0.01, prefill_token=1e-4, sequence=1e-3, kv_token=1e-6, error=0.05)
BAD = replace(GOOD, fixed=1.0, error=0.5)


def test_the_best_fit_of_a_size_is_taken() -> None:
    of = fitted(
        [
            replace(curve("a", {0: 1.0}, workflow="v"), steps=BAD),
            replace(curve("a", {0: 1.0}, workflow="w"), steps=GOOD),
            curve("b", {0: 1.0}),
        ]
    )
    assert of == {("a", 1, 1.0): GOOD}
    steps = FittedSteps("h100", of)
    timer = steps.timer(LlmSpec(name="a"), 1, 1.0)
    assert timer is not None
    seconds, _ = timer.cost(StepLoad(prefill_tokens=100, decodes=3, decode_kv=1000))
    assert abs(seconds - (0.01 + 0.01 + 0.003 + 0.001)) < 1e-12
    assert timer.per_kv_token == 1e-6
    assert steps.timer(LlmSpec(name="b"), 1, 1.0) is None
    assert steps.error(LlmSpec(name="a")) == 0.05
