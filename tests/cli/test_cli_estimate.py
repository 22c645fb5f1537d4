"""From traces to a plan without a GPU: `scepsy estimate`, then `scepsy plan` on two profiles."""

from __future__ import annotations

import json
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner

from builders import call
from scepsy.cli import estimate, plan
from scepsy.core.profile import Profile
from scepsy.errors import BadInput
from scepsy.store import TraceWriter, read_profile, write_record


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Traces of one workflow, a cluster and an LLM file."""
    with TraceWriter(tmp_path / "traces") as writer:
        for run in range(6):
            for place in range(3):
                one = call(
                    "g", place, place + 1.0, run=f"r{run}", call=f"{run}-{place}", layer="url"
                )
                writer.append(msgspec.structs.replace(one, prompt_tokens=500 + 50 * run))
    (tmp_path / "cluster.toml").write_text("[[nodes]]\nname='a'\ngpus=4\n")
    (tmp_path / "llms.toml").write_text(
        "[[llms]]\nname='g'\narchitecture='qwen3-32b'\nengine='vllm'\nmax_tp=4\n"
    )
    return tmp_path


def run(command: click.Command, inputs: Path, *arguments: object) -> str:
    files = ["--cluster", inputs / "cluster.toml", "--llms", inputs / "llms.toml"]
    done = CliRunner().invoke(
        command, [str(part) for part in (*arguments, *files)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return done.output


def test_estimate_then_plan(inputs: Path) -> None:
    profile = inputs / "profile.json"
    arguments = (inputs / "traces", "--source", "roofline", "--out", profile)
    assert "estimated, not measured" in run(estimate.command, inputs, *arguments)
    curves = read_profile(profile).curves
    assert {curve.tp for curve in curves} == {1, 2, 4}

    measured = inputs / "measured.json"
    real = msgspec.structs.replace(curves[0], source="measured", error=0.0, machine="elsewhere")
    write_record(measured, Profile(curves=(real,)))
    planned = ("--traces", inputs / "traces", "--target", "w=0.5", "--out", inputs / "plan.json")
    both = ("--profile", measured, "--profile", profile)
    output = run(plan.command, inputs, *planned, *both)
    assert "warning: measured on another machine: elsewhere" in output
    summary = json.loads((inputs / "plan.json").read_text())["explanation"]["summary"]
    tp = json.loads((inputs / "plan.json").read_text())["allocation"]["llms"][0]["tp"]
    assert any("on modelled curves" in line for line in summary) == (tp != real.tp)

    corrected = inputs / "corrected.json"
    arguments = (inputs / "traces", "--source", "roofline", "--measured", measured)
    run(estimate.command, inputs, *arguments, "--out", corrected)
    sources = {curve.tp: curve.source for curve in read_profile(corrected).curves}
    assert sources[real.tp] == "corrected"


def test_a_gpu_that_nobody_knows(inputs: Path) -> None:
    (inputs / "cluster.toml").write_text("[[nodes]]\nname='a'\ngpus=4\ngpu_type='abacus'\n")
    with pytest.raises(BadInput, match="'abacus' has no timing constants"):
        run(estimate.command, inputs, inputs / "traces")
