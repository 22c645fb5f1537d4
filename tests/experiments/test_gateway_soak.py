"""The soak of the gateway in its small form, and its verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from experiments.gateway_soak import main
from experiments.soak.callers import Outcome
from experiments.soak.site import Usage
from experiments.soak.trouble import Incident
from experiments.soak.verdict import Evidence, problems

from builders import call

USAGE = Usage(
    seconds=1.0,
    gateway="g",
    start=1,
    rss_mb=50.0,
    descriptors=9,
    sockets=3,
    in_flight=0,
)
GOOD = Evidence(
    outcomes=[Outcome("call-0", "whole", 1.0, 2.0, "ok", gateway="g")],
    recorded=[call("m", 1.0, 2.0, run="call-0")],
    incidents=[Incident("kill replica", "m-0", 10.0, 15.0)],
    fresh={"g": USAGE},
    settled={"g": USAGE},
    last={"g": USAGE},
    busy_engines=0.0,
)


def other(**fields: object) -> Evidence:
    return replace(GOOD, **fields)  # pyright: ignore


@pytest.mark.parametrize(
    ("evidence", "word"),
    [
        (other(outcomes=[Outcome("call-1", "whole", 1.0, 2.0, "lost")]), "lost"),
        (other(recorded=[*GOOD.recorded, *GOOD.recorded]), "doubled"),
        (other(recorded=[]), "not recorded"),
        (other(outcomes=[Outcome("c", "stream", 1.0, 2.0, "cut")]), "cut without a cause"),
        (other(last={"g": replace(USAGE, sockets=4)}), "sockets"),
        (other(last={"g": replace(USAGE, descriptors=12)}), "descriptors"),
        (other(last={"g": replace(USAGE, rss_mb=61.0)}), "grew"),
        (other(last={"g": replace(USAGE, in_flight=1)}), "in flight"),
        (other(busy_engines=1.0), "engines have 1 sequences"),
    ],
)
def test_each_kind_of_loss_and_leak_is_found(evidence: Evidence, word: str) -> None:
    (found,) = problems(evidence)
    assert word in found


def test_what_an_incident_explains_is_no_problem() -> None:
    assert not problems(GOOD)
    cut = Outcome("c", "stream", 9.0, 12.0, "cut", gateway="g")
    assert not problems(other(outcomes=[cut]))
    killed = [Incident("kill gateway", "g", 2.1, 6.0)]
    assert not problems(other(recorded=[], incidents=killed))


@pytest.mark.e2e
async def test_a_minute_of_trouble_loses_doubles_and_leaks_nothing(tmp_path: Path) -> None:
    assert await main(60.0, 1, tmp_path / "out", tmp_path) == []
    told = json.loads((tmp_path / "out" / "gateway_soak.json").read_text())
    assert {one["what"] for one in told["incidents"]} == {
        "kill gateway",
        "end gateway",
        "kill replica",
        "stop replica",
    }
    assert told["endings"]["ok"] > 100
    assert "Nothing was lost" in (tmp_path / "out" / "gateway_soak.md").read_text()
