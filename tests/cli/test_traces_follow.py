"""`scepsy traces --follow`, and what `scepsy traces` says of a sample."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from builders import call
from scepsy.cli.main import cli
from scepsy.core.recording import RecordingOptions
from scepsy.core.trace import RunMark
from scepsy.store import TraceLog


def test_calls_are_printed_as_they_are_recorded_while_files_rotate(tmp_path: Path):
    argv = [sys.executable, "-m", "scepsy", "traces", str(tmp_path), "--follow", "--json"]
    argv += ["--workflow", "w"]
    with (
        TraceLog(tmp_path, RecordingOptions(file_bytes=1)) as log,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child,
    ):
        try:
            assert child.stdout is not None
            assert child.stderr is not None
            assert child.stderr.readline().startswith("following ")
            for number in range(5):
                log.append(call("m", 1.0, 2.0 + number, call=str(number), layer="url"))
                log.append(call("m", 1.0, 2.0, workflow="other", layer="url"))
                log.mark(RunMark(run="r0", workflow="w", start=0.0, end=9.0)).result(10)
            seen = [json.loads(child.stdout.readline()) for _ in range(5)]
        finally:
            child.kill()
    assert [one["call"] for one in seen] == ["0", "1", "2", "3", "4"]


def test_a_sample_is_said_with_the_runs_that_it_stands_for(tmp_path: Path):
    with TraceLog(tmp_path, RecordingOptions(sample=0.1)) as log:
        for run in ("a", "b"):
            log.append(call("m", 1.0, 2.0, run=run, layer="url", sample=0.1))
    done = CliRunner().invoke(cli, ["traces", str(tmp_path), "--json"])
    found = json.loads(done.output)
    assert found["counts"][0]["represented_runs"] == 20.0
    said = " ".join(found["warnings"]).replace("\N{NO-BREAK SPACE}", " ")
    assert "2 runs and 2 calls stand for about 20 runs" in said
