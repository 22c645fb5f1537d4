"""The check that matters: two real vLLM engines, profiled with one workflow, serve another."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.vllm

ROOT = Path(__file__).resolve().parents[2]
LATENCY, THROUGHPUT = 0.15, 0.10
"""How far a prediction may be off, relative to what is observed; latency's beyond two standard
errors of the observation itself.
"""


def test_what_is_predicted_for_another_workflow_is_observed(tmp_path: Path) -> None:
    script = ROOT / "experiments" / "transfer" / "run.py"
    done = subprocess.run(
        [sys.executable, script, "--engine", "vllm", "--out", tmp_path],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
    )
    sys.stdout.write(done.stdout)  # the table, with pytest -s or where the test fails
    rows = json.loads((tmp_path / "transfer.json").read_text())["rows"]
    assert len(rows) == 3
    for row in rows:
        assert row["failed"] == 0, row
        noise = 2 * row["standard_error"] / row["latency_observed"]
        assert abs(row["latency_error"]) <= LATENCY + noise, done.stdout
        assert abs(row["throughput_error"]) <= THROUGHPUT, done.stdout
