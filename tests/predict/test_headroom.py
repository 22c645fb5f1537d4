"""The headroom is where the first LLM saturates when all rates grow alike."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.synthetic_report import ALLOCATION, BEAM, RAG, report
from scepsy.core.plan import Allocation, Prediction
from scepsy.predict import Pipeline, responses
from scepsy.predict.headroom import headroom

KNOWN = report()
PLAN = KNOWN.plan
PIPELINE = Pipeline(PLAN.demands, PLAN.targets, responses(KNOWN.profile.curves))


def predicted(rates: dict[str, float]) -> Prediction:
    targets = tuple(
        msgspec.structs.replace(target, rate=rates[target.workflow]) for target in PLAN.targets
    )
    return replace(PIPELINE, targets=targets).predict(Allocation(llms=ALLOCATION))


@given(beam=st.floats(0.01, 0.4), rag=st.floats(0.01, 1.5))
def test_a_plan_saturates_just_beyond_its_headroom(beam: float, rag: float) -> None:
    rates = {BEAM: beam, RAG: rag}
    found = headroom(PLAN.prediction, rates)
    fullest = predicted({name: rate * found.factor for name, rate in rates.items()}).utilisation
    assert fullest[found.llm] == pytest.approx(1.0, rel=1e-6) == max(fullest.values())
    assert headroom(predicted(rates)).factor == pytest.approx(found.factor, rel=1e-6)


def test_without_rates_it_is_that_of_the_targets() -> None:
    rates = {target.workflow: target.rate for target in PLAN.targets}
    found = headroom(PLAN.prediction)
    assert headroom(PLAN.prediction, rates).factor == pytest.approx(found.factor)
    assert found.factor == pytest.approx(1 / max(PLAN.prediction.utilisation.values()))


def test_without_an_llm_to_place_there_is_no_end() -> None:
    nothing = Prediction(objective=0.0, workflows=(), utilisation={})
    assert headroom(nothing).factor == inf


def test_an_overloaded_plan_says_how_far_the_rates_must_fall() -> None:
    over = predicted({BEAM: 1.6, RAG: 6.0})
    assert headroom(over).factor == pytest.approx(headroom(PLAN.prediction).factor / 2)
