"""GPUs that bring less than the tolerance are left free."""

from __future__ import annotations

from math import isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.problems import cluster, problem, problems
from scepsy.core.plan import Infeasible
from scepsy.planning.decision import Decision
from scepsy.planning.front import front_points
from scepsy.planning.gpu_choice import leave_free
from scepsy.planning.planner import STEPS, decide, shortlist
from scepsy.planning.problem import Problem

TOLERANCES = st.sampled_from((0.0, 0.01, 0.05, 0.2))


def decided(asked: Problem, tolerance: float) -> tuple[Decision, Decision] | None:
    """The fastest plan, and the one on the fewest GPUs; None where there is none."""
    fastest = decide(asked, (), None)
    if isinstance(fastest, Infeasible):
        return None
    return fastest, leave_free(fastest, asked, (), 1.0, tolerance, STEPS)


def fastest_within(asked: Problem, gpus: int) -> float:
    """Seconds; inf where there is no plan."""
    found = shortlist(asked.within(gpus), {})
    return float("inf") if isinstance(found, Infeasible) else found.entries[0].replay.objective


@settings(max_examples=60, deadline=None)
@given(asked=problems(), tolerance=TOLERANCES)
def test_no_gpu_is_used_whose_removal_costs_less_than_the_tolerance(
    asked: Problem, tolerance: float
) -> None:
    """Planned again on one GPU fewer, the latency is above the tolerance."""
    found = decided(asked, tolerance)
    if found is None:
        return
    fastest, chosen = found[0].entry, found[1].entry
    limit = (1 + tolerance) * fastest.replay.objective
    assert chosen.replay.objective <= limit or not isfinite(limit)
    assert chosen.placement.gpus <= fastest.placement.gpus
    if tolerance == 0:
        assert chosen is fastest
    elif isfinite(limit):
        assert fastest_within(asked, chosen.placement.gpus - 1) > limit


@settings(max_examples=40, deadline=None)
@given(asked=problems(), tolerance=TOLERANCES)
def test_on_the_front_more_gpus_are_faster_and_the_plan_is_one_point(
    asked: Problem, tolerance: float
) -> None:
    found = decided(asked, tolerance)
    if found is None:
        return
    points = front_points(found[1])
    gpus, latency = [one.gpus for one in points], [one.objective for one in points]
    assert gpus == sorted(set(gpus))
    assert latency == sorted(set(latency), reverse=True)
    chosen = [one for one in points if one.chosen]
    assert [one.gpus for one in chosen] == [found[1].entry.placement.gpus] * len(chosen)
    assert len(chosen) == isfinite(found[1].entry.replay.objective)
    assert all(one.headroom >= 1 - 1e-9 for one in points)


def test_an_llm_that_is_hardly_used_gets_a_part_of_a_gpu() -> None:
    """The fastest plan gives a reranker that is almost idle every GPU that is left over."""
    asked = {"generator": (8e9, 12.0, 0.5), "reranker": (0.6e9, 1.0, 0.001)}
    found = decided(problem(asked, cluster(1, 8), 0.05), 0.01)
    assert found is not None
    before, after = (one.entry.allocation for one in found)
    assert before.gpus > after.gpus
    assert after.llms[1].gpus < 1


@pytest.mark.parametrize("tolerance", [0.01, 0.1])
def test_idle_replicas_on_a_large_cluster_are_left_out(tolerance: float) -> None:
    """31 replicas that are busy 1% of the time are no faster than a few."""
    found = decided(problem({"a": (70e9, 3.0, 0.5)}, cluster(8, 8), 0.05), tolerance)
    assert found is not None
    assert found[0].entry.placement.gpus > 2 * found[1].entry.placement.gpus
