"""Against scipy, against brute force, and against what the definitions demand."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression
from scipy.stats import t

from scepsy.statistics.batch_means import consecutive, standard_error, t_95
from scepsy.statistics.quantiles import quantile, quantiles, weighted_quantiles
from scepsy.statistics.regression import isotonic, non_negative

numbers = st.lists(st.floats(-100, 100), min_size=1, max_size=30)


@given(numbers, st.floats(0, 1))
def test_quantiles_do_not_ask_for_an_order(values: list[float], q: float) -> None:
    assert quantile(values, q) == quantile(sorted(values), q)
    assert quantiles(values, (0.0, q, 1.0)) == pytest.approx(
        (min(values), quantile(values, q), max(values))
    )


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(1, 5)), min_size=1), st.floats(0, 1))
def test_a_weight_is_so_many_equal_values(pairs: list[tuple[int, int]], part: float) -> None:
    values, weights = zip(*pairs, strict=True)
    repeated = sorted(value for value, weight in pairs for _ in range(weight))
    place = min(int(part * len(repeated)), len(repeated) - 1)
    q = (place + 0.5) / len(repeated)
    assert weighted_quantiles(values, weights, (q,)) == (repeated[place],)


@given(st.lists(st.tuples(st.floats(-9, 9), st.integers(1, 50)), min_size=1, max_size=20))
def test_isotonic_regression_is_scipys(pairs: list[tuple[float, int]]) -> None:
    values, weights = (np.array(side, dtype=np.float64) for side in zip(*pairs, strict=True))
    rows = np.array([values, -values])
    for row, found in zip(rows, isotonic(rows, weights), strict=True):
        assert found == pytest.approx(isotonic_regression(row, weights=weights).x, abs=1e-9)


@given(st.integers(0, 1000))
def test_no_set_of_columns_fits_better_than_non_negative(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, wanted = rng.standard_normal((12, 4)), rng.standard_normal(12)
    found = non_negative(rows * [1e-6, 1.0, 1e3, 1.0], wanted) * [1e-6, 1.0, 1e3, 1.0]
    assert found.min() >= 0
    error = np.linalg.norm(rows @ found - wanted)
    for count in range(5):
        for kept in map(list, combinations(range(4), count)):
            some = np.linalg.lstsq(rows[:, kept], wanted, rcond=None)[0]
            if count == 0 or some.min() >= 0:
                assert error <= np.linalg.norm(rows[:, kept] @ some - wanted) + 1e-9


def test_where_dropping_the_worst_column_first_is_wrong() -> None:
    """What stood here before left out the most negative column, and could not take it back."""
    rows = np.array([[-1.3, -0.7, -0.6], [-1.0, 1.4, -1.0], [0.5, -1.1, 1.9]])
    wanted = np.array([0.6, -1.6, 1.0])
    found = non_negative(rows, wanted)
    gradient = rows.T @ (rows @ found - wanted)
    assert gradient.min() >= -1e-9
    assert found @ gradient == pytest.approx(0, abs=1e-9)


@given(st.lists(st.integers(), max_size=40), st.integers(1, 12))
def test_batches_keep_every_value_in_order(values: list[int], count: int) -> None:
    found = consecutive(values, count)
    assert [value for batch in found for value in batch] == values
    assert len(found) == min(count, len(values))
    assert all(len(batch) in (len(values) // count, -(-len(values) // count)) or count > len(values)
               for batch in found)  # fmt: skip


def test_intervals() -> None:
    assert standard_error([1.0]) is None
    assert standard_error([1.0, 3.0]) == pytest.approx(1.0)
    assert t_95(1) == math.inf
    assert [t_95(n) for n in (2, 10, 30)] == pytest.approx(
        [t.ppf(0.975, n - 1) for n in (2, 10, 30)]
    )


def test_scepsy_and_its_planner_import_without_scipy() -> None:
    code = "import sys, scepsy, scepsy.planning.planner as p; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
