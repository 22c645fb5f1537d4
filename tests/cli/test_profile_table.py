"""What `scepsy profile` prints of the curves that it measured."""

from __future__ import annotations

import msgspec
from rich.console import Console

from builders import curve
from scepsy.cli.profile import lower_bounds, print_profile
from scepsy.core.profile import Profile

SLOW = curve("generator", {0: 0.5, 8: 0.9}, max_throughput=9.0)
FAST = msgspec.structs.replace(
    curve("embedder", {0: 0.01, 180: 0.02}, max_throughput=200.0), at_least=True
)


def test_curves_that_end_at_the_highest_offered_rate_are_named() -> None:
    (note,) = lower_bounds(Profile(curves=(SLOW, FAST)), 200.0)
    assert note.startswith("note: embedder at TP1: no more than 200 calls/s were offered")
    assert "generator" not in note
    assert not list(lower_bounds(Profile(curves=(SLOW,)), 200.0))


def test_a_high_rate_is_no_power_of_ten() -> None:
    screen = Console(width=100)
    with screen.capture() as captured:
        print_profile(Profile(curves=(curve("e", {0: 0.01}, max_throughput=17_700.0),)), screen)
    assert "17,700/s" in captured.get()
