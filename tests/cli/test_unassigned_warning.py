"""Every command that reads traces says how many calls belong to no run: they are missing in n."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from builders import call
from scepsy.cli.main import cli
from scepsy.store import TraceWriter

OLD = Path(__file__).parent.parent / "assets" / "v1"


@pytest.mark.parametrize(
    "command",
    [
        ["traces", "TRACES"],
        ["traces", "TRACES", "--json"],
        ["export", "TRACES", "--format", "otlp", "--out", "OUT"],
        ["estimate", "TRACES", "--cluster", "1xh100", "--out", "OUT"],
        ["profile", "TRACES", "--cluster", "1xh100", "--llms", "OUT", "--out", "OUT"],
        f"plan --traces TRACES --profile {OLD}/profile.json --cluster 1xh100 --target w=1".split(),
        ["simulate", f"{OLD}/plan.json", "--traces", "TRACES", "--out", "OUT"],
    ],
    ids=lambda command: " ".join(command[:1] + command[-1:]),
)
def test_calls_of_no_run_are_counted_and_said(tmp_path: Path, command: list[str]) -> None:
    with TraceWriter(tmp_path / "traces") as writer:
        for number in range(3):
            writer.append(call("m", number, number + 1, layer="url", run="known"))
        writer.append(call("m", 5, 6, layer="none", run=""))
    places = {"TRACES": str(tmp_path / "traces"), "OUT": str(tmp_path / "out")}
    done = CliRunner().invoke(cli, [places.get(word, word) for word in command])
    said = "1 of 4 calls (25%) belong to no known run"
    assert said in " ".join(done.output.split())
