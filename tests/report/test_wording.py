"""Numbers read as people write them."""

from __future__ import annotations

import math

import pytest

from scepsy.report import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.8, "0.800"),
        (12.345, "12.3"),
        (9.996, "10.00"),
        (1234.5, "1,234"),
        (-2.0, f"{wording.MINUS}2.00"),
        (3e7, "3e+07"),
        (math.inf, "\N{INFINITY}"),
        (math.nan, wording.DASH),
    ],
)
def test_digits(value: float, text: str) -> None:
    assert wording.digits(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12.3, "12.3 s"),
        (0.25, "250 ms"),
        (2e-5, "20.0 \N{MICRO SIGN}s"),
        (math.inf, "\N{INFINITY}"),
        (math.nan, wording.DASH),
    ],
)
def test_seconds(value: float, text: str) -> None:
    assert wording.seconds(value) == text


def test_percentages_counts_and_spans() -> None:
    assert wording.percent(0.031) == "3.1%"
    assert wording.percent(0.71) == "71%"
    assert wording.signed_percent(-0.035) == f"{wording.MINUS}3.5%"
    assert wording.signed_percent(-0.0001) == "0.0%"
    assert wording.percent(-0.0001) == "0%"
    assert wording.seconds(0.0) == "0 s"
    assert wording.seconds(None) == wording.DASH
    assert wording.signed_percent(math.inf) == "\N{INFINITY}"
    assert wording.count(1, "GPU").split() == ["1", "GPU"]
    assert wording.count(8, "GPU").split() == ["8", "GPUs"]
    assert wording.span("1%", "2%") == f"1% {wording.DASH} 2%"


def test_an_error_says_whether_its_interval_holds_it() -> None:
    assert wording.error(0.05, 0.09) == "+5.0%, within ±9.0%"
    assert wording.error(-0.23, 0.09) == f"{wording.MINUS}23.0%, outside ±9.0%"
    assert wording.error(0.05, None) == "+5.0%"


def test_the_slow_runs_are_called_what_they_are() -> None:
    name, value = wording.tail(2.0, 3.0, 120)
    assert (name.split(), value) == (["p99", "of", "120", "runs"], 2.0)
    name, value = wording.tail(None, 3.0, 14)
    assert (name.split(), value) == (["slowest", "of", "14", "runs"], 3.0)


def test_a_factor_has_two_digits() -> None:
    assert wording.factor(1.832) == f"{wording.TIMES} 1.8"
    assert wording.factor(412.7) == f"{wording.TIMES} 413"
    assert wording.factor(math.inf) == f"{wording.TIMES} \N{INFINITY}"
