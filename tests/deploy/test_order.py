"""The order of starting and leaving against all orders, in small cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scepsy.deploy.changes.capacity import Capacity
from scepsy.deploy.changes.ledger import Ledger, Part
from scepsy.deploy.changes.limits import Room
from scepsy.deploy.changes.order import Balance, Step, ordered, replayed

GPUS = {("n", gpu): Room() for gpu in range(3)}


@dataclass(frozen=True)
class Problem:
    balance: Balance
    starts: tuple[Step, ...]
    leaves: tuple[Step, ...]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """At most four replicas to start and three that leave, all of which serve."""

    def steps(most: int, starts: bool) -> tuple[Step, ...]:
        ledger = Ledger(GPUS)
        found: list[Step] = []
        for number in range(draw(st.integers(1, most))):
            gpus = draw(st.sampled_from(((0,), (1,), (2,), (0, 1), (1, 2))))
            share = draw(st.sampled_from((0.3, 0.5, 1.0)))
            parts = tuple(Part(("n", gpu), share, share) for gpu in gpus)
            if ledger.has_room(parts):
                ledger.take(parts)
                name = f"{'new' if starts else 'old'}-{number}"
                gives = share * len(gpus)
                found.append(Step(name, draw(st.sampled_from("ab")), parts, gives, starts))
        return tuple(found)

    starts, leaves = steps(4, True), steps(3, False)
    needed = {llm: draw(st.sampled_from((0.0, 0.3, 0.5, 1.0, 1.5))) for llm in "ab"}
    balance = Balance(Ledger(GPUS), defaultdict(float), Capacity(needed=needed))
    for step in leaves:
        balance.ledger.take(step.parts)
        balance.serving[step.llm] += step.gives
    return Problem(balance, starts, leaves)


def least_dip(problem: Problem) -> float:
    """The smallest possible dip, from all orders of all steps."""
    steps = (*problem.starts, *problem.leaves)
    found = (_until_all_started(problem, order) for order in permutations(steps))
    return min(found)


def _until_all_started(problem: Problem, order: Sequence[Step]) -> float:
    last = max(number for number, step in enumerate(order) if step.starts)
    done = replayed(problem.balance, order[: last + 1])
    return float("inf") if done is None else done.worst


@given(problems())
@settings(max_examples=100, deadline=None)
def test_the_dip_is_the_smallest_of_all_orders(problem: Problem) -> None:
    found = ordered(problem.balance, problem.starts, problem.leaves)
    assert {one.name for one in found.steps if one.starts} == {one.name for one in problem.starts}
    assert replayed(problem.balance, found.steps) == found
    assert found.worst == pytest.approx(least_dip(problem))


@given(problems())
@settings(max_examples=100, deadline=None)
def test_nobody_leaves_before_the_last_start_who_could_stay(problem: Problem) -> None:
    found = ordered(problem.balance, problem.starts, problem.leaves)
    for step in found.steps:
        if not step.starts:
            without = [one for one in found.steps if one is not step]
            assert replayed(problem.balance, without) is None


def test_the_start_that_frees_the_next_place_comes_first() -> None:
    """On GPU 0 there is room for one of two starts. Only after that of LLM a may the old replica of
    a leave and make room for the other one: the quick rule, which takes the larger one, fails.
    """

    def part(gpu: int, share: float) -> Part:
        return Part(("n", gpu), share, share)

    old = Step("old", "a", (part(0, 0.5),), 1.0, starts=False)
    a = Step("a", "a", (part(0, 0.4),), 1.0, starts=True)
    b = Step("b", "b", (part(0, 0.5),), 1.0, starts=True)
    balance = Balance(Ledger(GPUS), defaultdict(float, a=1.0), Capacity(needed={"a": 1.0}))
    balance.ledger.take(old.parts)
    found = ordered(balance, [b, a], [old])
    assert [step.name for step in found.steps] == ["a", "old", "b"]
    assert not found.dips
