"""Profiles beside one another."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from builders import curve
from scepsy.cli.profiles import command
from scepsy.core.profile import Profile
from scepsy.profiler.compare import differences, per_gpu
from scepsy.store import write_record

MEASURED = curve("g", {0.0: 1.0, 5.0: 2.0}, max_throughput=10.0)
ESTIMATED = msgspec.structs.replace(
    curve("g", {0.0: 1.1, 5.0: 2.2, 8.0: 4.0}, max_throughput=12.0), source="modelled", error=0.11
)
WIDE = curve("g", {0.0: 0.6}, tp=2, max_throughput=16.0)


def test_differences_of_the_same_thing() -> None:
    (found,) = differences(
        [("a", Profile(curves=(MEASURED, WIDE))), ("b", Profile(curves=(ESTIMATED,)))]
    )
    assert (found.one, found.other, found.size) == ("a", "b", "TP1")
    assert found.throughput == pytest.approx(0.2)
    assert found.latency == pytest.approx(0.1)
    assert found.within
    sure = msgspec.structs.replace(ESTIMATED, error=0.05)
    profiles = [("a", Profile(curves=(MEASURED,))), ("b", Profile(curves=(sure,)))]
    assert not differences(profiles)[0].within


def test_throughput_per_gpu() -> None:
    found = per_gpu(Profile(curves=(MEASURED, WIDE)))
    assert found["g", "w", 2, 1.0] == pytest.approx(0.8)


def test_the_command_lists_compares_and_draws(tmp_path: Path) -> None:
    write_record(tmp_path / "measured.json", Profile(curves=(MEASURED, WIDE)))
    write_record(tmp_path / "estimated.json", Profile(curves=(ESTIMATED,)))
    files = [str(tmp_path / name) for name in ("measured.json", "estimated.json")]
    page = tmp_path / "profiles.html"
    shown = CliRunner().invoke(command, [*files, "--html", str(page)], catch_exceptions=False)
    assert "estimated.json against measured.json" in shown.output
    assert "+20.0%" in shown.output
    assert "estimated" in page.read_text()
    told = CliRunner().invoke(command, [*files, "--json"], catch_exceptions=False)
    found = json.loads(told.output)
    assert len(found["differences"]) == 1
    assert [one["source"] for one in found["planned_with"]["curves"]] == ["measured", "measured"]
