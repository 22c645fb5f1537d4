"""The demo in a small size, with real processes; and Ctrl-C in the middle of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from e2e.processes import ROOT, marked

pytestmark = pytest.mark.e2e


def test_the_whole_job_in_a_small_size(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    with marked() as run:
        done = run.scepsy("demo", "--quick", "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert [flow["workflow"] for flow in summary["workflows"]] == ["beam_search", "rag"]
    for flow in summary["workflows"]:
        assert flow["measured"]["failed"] == 0
        assert flow["measured"]["completed"] > 0
        assert flow["predicted"]["throughput"] >= flow["target_rate"] * 0.999
        assert flow["predicted"]["latency_mean"] > 0
        assert set(flow["even_split"]) >= {"throughput", "latency_mean"}
    assert all(0 < llm["measured_busy"] <= 1 for llm in summary["llms"])
    assert (out / "report.html").read_text().lower().startswith("<!doctype html>")
    assert {path.name for path in out.iterdir()} == {
        ".scepsy-demo",
        "traces",
        "profile.json",
        "plan.json",
        "summary.json",
        "report.html",
    }


@pytest.mark.parametrize("after", [0.3, 2.0, 5.0, 12.0])
def test_ctrl_c_leaves_nothing(tmp_path: Path, after: float) -> None:
    out = tmp_path / "demo"
    with marked() as run:
        demo = run.popen("demo", "--quick", "--out", out)
        time.sleep(after)
        # As a terminal does it: to the whole foreground group.
        os.killpg(demo.pid, signal.SIGINT)
        printed, _ = demo.communicate(timeout=30)
        # A slow machine may still be starting the interpreter, which then dies of the signal.
        started = after > 1 or printed
        assert demo.returncode == 130 or (not started and demo.returncode == -signal.SIGINT), (
            printed
        )
        assert "Traceback" not in printed
    assert not (out / "state").exists()


def test_sigterm_in_a_background_job_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    with marked() as run:
        # A shell without job control starts background jobs with SIGINT ignored.
        command = f"trap '' INT; exec {sys.executable} -m scepsy demo --quick --out {out}"
        demo = subprocess.Popen(
            ["sh", "-c", command], stdout=subprocess.DEVNULL, env=run.environment, cwd=ROOT
        )
        time.sleep(5)
        demo.terminate()
        assert demo.wait(timeout=30) == 130
    assert not (out / "state").exists()
