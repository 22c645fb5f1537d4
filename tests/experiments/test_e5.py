"""The committed table of E5 is what its command gives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = ("agentic_coding_weka", "tracelab", "mooncake")
STARTS = tuple(f"| {data} " for data in PUBLIC)
SHARED = any((up / "shared" / "data").is_dir() for up in ROOT.parents)


@pytest.mark.skipif(not SHARED, reason="no shared/data above this directory")
def test_e5_json_is_reproduced(tmp_path: Path) -> None:
    out = tmp_path / "e5.json"
    command = [sys.executable, ROOT / "experiments" / "e5_time_shares.py", "--out", out]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    committed = json.loads((ROOT / "docs" / "evaluation" / "e5.json").read_text())
    public = [row for row in committed if row["data"] in PUBLIC]
    assert [row for row in json.loads(out.read_text()) if row["data"] in PUBLIC] == public
    page = (ROOT / "docs" / "evaluation" / "e5.md").read_text()
    assert all(line in page for line in printed.splitlines() if line.startswith(STARTS))
