"""A decision ends on the clusters that people have: mixed NVLink domains, nodes of odd size.

Each of these problems kept an earlier search busy for ever: for measures of room for groups the
step by which it took GPUs away was zero.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.problems import SIZES, problem
from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Infeasible
from scepsy.place import place
from scepsy.planning.alternatives import other_sizes
from scepsy.planning.planner import allocate
from scepsy.planning.problem import Problem


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
def test_what_never_ended_ends(case: Case) -> None:
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
def test_every_decision_ends(
    asked: list[tuple[float, float, float]], cluster: str, rate: float
) -> None:
    check(problem(dict(zip("abcd", asked, strict=False)), CLUSTERS[cluster], rate))
