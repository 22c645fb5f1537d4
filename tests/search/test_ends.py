"""The search terminates on clusters with NVLink domains and nodes of odd sizes, with the optimum or
with a lower bound close to its cost.

An earlier search did not terminate on the problems in `HUNG`: under constraints on group sizes the
step by which it reduced the number of GPUs was zero.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.problems import SIZES, problem, problems
from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Infeasible, Placement
from scepsy.place import place
from scepsy.planning.alternatives import other_sizes
from scepsy.planning.planner import allocate
from scepsy.planning.problem import Problem, predict
from scepsy.search import Candidate, Choice, search
from scepsy.search.mixed_integer import cheapest_fitting
from scepsy.search.placeable import MIP_GAP_MIN


def nodes(*sizes: tuple[int, int | None]) -> Cluster:
    """Nodes by their GPUs and the size of their NVLink domains (None: the whole node)."""
    return Cluster(
        nodes=tuple(
            Node(name=f"n{number}", gpus=gpus, nvlink_domain=domain)
            for number, (gpus, domain) in enumerate(sizes)
        )
    )


CLUSTERS = {
    "8 NVLink + 4 PCIe": nodes((8, None), (4, 1)),
    "4 NVLink + 4 PCIe": nodes((4, None), (4, 1)),
    "8 NVLink + 8 PCIe": nodes((8, None), (8, 1)),
    "four nodes of three": nodes(*[(3, None)] * 4),
    "pairs, five and one": nodes((6, 2), (5, None), (1, None)),
}


class Case(NamedTuple):
    """By LLM its parameters, calls per run and seconds of an idle call; the cluster; runs/s."""

    asked: dict[str, tuple[float, float, float]]
    cluster: str
    rate: float


HUNG = (
    Case({"a": (0.6e9, 5.8, 0.9), "b": (32e9, 10.0, 0.9), "c": (8e9, 2.8, 0.02)},
         "four nodes of three", 0.1),
    Case({"a": (32e9, 17.1, 0.9), "b": (0.6e9, 10.1, 0.9), "c": (32e9, 13.6, 0.3),
          "d": (14e9, 2.6, 0.02)}, "4 NVLink + 4 PCIe", 0.3),
    Case({"a": (14e9, 10.3, 0.02), "b": (32e9, 1.8, 0.9), "c": (8e9, 4.2, 0.1),
          "d": (0.6e9, 15.6, 0.1)}, "four nodes of three", 0.3),
    Case({"a": (32e9, 7.6, 0.3), "b": (32e9, 12.4, 0.1), "c": (8e9, 11.5, 0.1),
          "d": (0.6e9, 16.2, 0.3)}, "8 NVLink + 4 PCIe", 0.3),
)  # fmt: skip


def check(decided: Problem) -> None:
    """The decision, and those that leave out one kind of replica, end and can be placed."""
    found = allocate(decided)
    if isinstance(found, Infeasible):
        return
    allocation = found.candidate.allocation
    assert place(allocation, decided.cluster) == found.placement
    assert found.bound <= found.candidate.objective * (1 + 1e-9)
    for without in other_sizes(decided, allocation).values():
        other = allocate(without)
        assert isinstance(other, Infeasible) or other.placement.replicas


@pytest.mark.parametrize("case", HUNG)
def test_problems_on_which_an_earlier_search_hung_terminate(case: Case) -> None:
    check(problem(case.asked, CLUSTERS[case.cluster], case.rate))


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.tuples(st.sampled_from(SIZES), st.floats(1, 20), st.sampled_from((0.02, 0.1, 0.9))),
        min_size=3,
        max_size=4,
    ),
    st.sampled_from(list(CLUSTERS)),
    st.sampled_from((0.02, 0.1, 0.3)),
)
def test_every_search_terminates(
    asked: list[tuple[float, float, float]], cluster: str, rate: float
) -> None:
    check(problem(dict(zip("abcd", asked, strict=False)), CLUSTERS[cluster], rate))


def odd(seed: int) -> Problem:
    """Three to six LLMs on up to 20 nodes of 1 to 8 GPUs with NVLink domains of any size."""
    draw = Random(seed)
    sizes: list[tuple[int, int | None]] = []
    for _ in range(draw.randint(1, 20)):
        gpus = draw.choice((1, 2, 3, 4, 5, 6, 8, 8))
        domain = draw.choice((None, None, 1, 2, 4)) if gpus > 1 else None
        sizes.append((gpus, domain if domain is None or domain <= gpus else None))
    names = "abcdef"[: draw.randint(3, 6)]
    asked = {
        name: (
            draw.choice((*SIZES, 14e9)),
            draw.uniform(1, 20),
            draw.choice((0.02, 0.1, 0.3, 0.9)),
        )
        for name in names
    }
    cluster = nodes(*sizes)
    rate = draw.choice((0.02, 0.1, 0.3, 1.0)) * max(1, cluster.gpus / 16)
    return problem(asked, cluster, rate)


@pytest.mark.parametrize("seed", [*range(20), 25, 30, 36, 109, 116, 153, 191, 194])
def test_on_odd_clusters_the_cost_is_within_the_gap_of_the_optimum(seed: int) -> None:
    """The steps of best-first search ran out for the last eight of these, up to 40% from its own
    bound.
    """
    found = allocate(odd(seed))
    if isinstance(found, Choice):
        gap = found.candidate.objective / found.bound - 1
        assert gap <= MIP_GAP_MIN
        assert found.proven == (gap == 0)


@settings(deadline=None, max_examples=40)
@given(problems(most_llms=3, most_nodes=2))
def test_the_mixed_integer_programme_equals_best_first_search(asked: Problem) -> None:
    """Where the latter proves its answer, as it nearly always does on small clusters."""
    found = search(asked.needed_llms, asked.cluster, predict(asked), share_step=asked.share_step)
    decided = allocate(asked)
    if isinstance(found, Infeasible) or isinstance(decided, Infeasible):
        return

    def fits(candidate: Candidate) -> bool:
        return isinstance(place(candidate.allocation, asked.cluster), Placement)

    solved = cheapest_fitting(found, fits)
    cost = decided.candidate.objective
    assert decided.proven
    assert solved.bound <= cost * (1 + 1e-9)
    if solved.candidate is not None:
        assert solved.candidate.objective == pytest.approx(cost, rel=1e-5)
    assert cheapest_fitting(found, fits, below=cost * 0.99).candidate is None
