"""Files that earlier versions wrote stay readable: one set for each format."""

from __future__ import annotations

from pathlib import Path

import pytest

from scepsy.store import read_plan, read_profile, read_traces

ASSETS = Path(__file__).resolve().parents[1] / "assets"


@pytest.mark.parametrize("version", ["v1"])
def test_files_of_every_version_can_be_read(version: str) -> None:
    where = ASSETS / version
    plan = read_plan(where / "plan.json")
    assert len(plan.placement.replicas) == 4
    assert len(read_profile(where / "profile.json").curves) == 4
    found = read_traces(where / "traces")
    assert sum(len(trace.calls) for trace in found.traces) == 12
