"""Engines on one GPU: nobody gains by company, and bandwidth is the only thing they fight over."""

from __future__ import annotations

from itertools import product
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scepsy.hardware.contention import Tenant, mean_slowdowns, slowdown

parts = st.integers(0, 100).map(lambda percent: percent / 100)
wanted = st.one_of(
    parts.map(lambda part: {"memory_bound": part, "kept": 1.0}),
    parts.map(lambda part: {"memory_bound": 1.0, "kept": part}),
)
tenants = st.builds(
    lambda busy_runs, bandwidth: Tenant(busy_runs=busy_runs, **bandwidth),
    st.floats(0, 5),
    wanted,
)
"""Bandwidths in whole percents: `mean_slowdowns` counts them so."""


@given(st.lists(tenants, max_size=6))
def test_it_is_the_mean_over_all_who_may_compute_at_once(group: list[Tenant]) -> None:
    for index, (tenant, found) in enumerate(zip(group, mean_slowdowns(group), strict=True)):
        others = group[:index] + group[index + 1 :]
        expected = sum(
            prod(one.busy if on else 1 - one.busy for one, on in zip(others, who, strict=True))
            * slowdown(
                tenant.memory_bound,
                tenant.wanted + sum(one.wanted for one, on in zip(others, who, strict=True) if on),
            )
            for who in product((False, True), repeat=len(others))
        )
        assert found == pytest.approx(expected)


@given(st.lists(tenants, min_size=1, max_size=6), tenants)
def test_a_neighbour_more_makes_nobody_faster(group: list[Tenant], newcomer: Tenant) -> None:
    before, after = mean_slowdowns(group), mean_slowdowns([*group, newcomer])
    assert all(now >= then - 1e-9 for then, now in zip(before, after, strict=False))
    assert all(one >= 1 - 1e-9 for one in before)


def test_alone_or_beside_idle_ones_nothing_is_lost() -> None:
    alone = Tenant(busy_runs=1.0, memory_bound=1.0, kept=0.9)
    idle = Tenant(busy_runs=0.0, memory_bound=1.0, kept=0.9)
    assert mean_slowdowns([alone]) == (1.0,)
    assert mean_slowdowns([alone, idle])[0] == pytest.approx(1.0)


def test_two_that_always_decode_share_the_bandwidth() -> None:
    """0.92 of the bandwidth each, at half a GPU each: both take 1.84 times as long."""
    one = Tenant(busy_runs=1e3, memory_bound=1.0, kept=0.92)
    assert mean_slowdowns([one, one]) == pytest.approx((1.84, 1.84))
