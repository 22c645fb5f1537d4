"""A limit on the GPUs that a plan may use: kept, and the best within it is found."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.problems import allocation_of, problems
from scepsy.core.plan import Infeasible
from scepsy.peers.exhaustive import exhaustive
from scepsy.planning.planner import allocate
from scepsy.planning.problem import Problem
from scepsy.search import Choice


@settings(max_examples=40, deadline=None)
@given(problems(most_llms=2, most_nodes=2), st.integers(1, 8))
def test_with_a_gpu_limit_the_search_equals_exhaustive_search(
    given_problem: Problem, gpus: int
) -> None:
    limited = given_problem.within(gpus)
    ours, placement = allocate(limited), exhaustive(limited)
    if isinstance(placement, Infeasible):
        assert isinstance(ours, Infeasible) or placement.binding == "size"
        return
    assert isinstance(ours, Choice)
    assert ours.placement.gpus <= gpus
    assert placement.gpus <= gpus
    bound = limited.pipeline.predict(allocation_of(placement)).objective
    found = limited.pipeline.predict(ours.candidate.allocation).objective
    assert found == pytest.approx(bound, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(problems(most_llms=3, most_nodes=2), st.floats(0, 1))
def test_a_price_on_gpus_raises_latency_by_at_most_the_saved_price(
    given_problem: Problem, price: float
) -> None:
    """The dearer choice is worth less than the price of the GPUs that it saves."""
    free, priced = allocate(given_problem), allocate(given_problem.priced(price))
    if isinstance(free, Infeasible):
        assert isinstance(priced, Infeasible)
        return
    assert isinstance(priced, Choice)
    if free.proven and priced.proven:
        ours, theirs = free.candidate.allocation, priced.candidate.allocation
        pipeline = given_problem.pipeline
        slower = pipeline.predict(theirs).objective - pipeline.predict(ours).objective
        assert -1e-9 <= slower <= price * (ours.gpus - theirs.gpus) + 1e-9
