"""Malformed files, impossible wishes: one message with file and field, a stable exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from builders import call, curve
from e2e.processes import ROOT, Marked
from scepsy.core.profile import Profile
from scepsy.core.trace import RunMark
from scepsy.engines import engine_for
from scepsy.store import TraceWriter, write_record

pytestmark = pytest.mark.e2e

LLMS = """
[[llms]]
name = "a"
parameters = 8e9
layers = 32
hidden = 4096
kv_heads = 8
head_dim = 128
max_tp = 1
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory with everything that `scepsy plan` wants."""
    with TraceWriter(tmp_path / "traces") as writer:
        for run in range(3):
            writer.append(call("a", run * 10.0, run * 10.0 + 1, run=f"r{run}", layer="header"))
            writer.mark(RunMark(run=f"r{run}", workflow="w", start=run * 10.0, end=run * 10.0 + 1))
    engine = f"emulated {engine_for('emulated').version()}"
    measured = replace(curve("a", {1: 1.0, 9: 2.0}), engine=engine)
    write_record(tmp_path / "profile.json", Profile(curves=(measured,)))
    (tmp_path / "cluster.toml").write_text('[[nodes]]\nname = "n"\ngpus = 2\n')
    (tmp_path / "llms.toml").write_text(LLMS)
    return tmp_path


def plan(files: Path, target: str = "w=2", *more: str) -> tuple[int, str]:
    done = Marked().scepsy(
        "plan", "--traces", files / "traces", "--profile", files / "profile.json",
        "--cluster", files / "cluster.toml", "--llms", files / "llms.toml",
        "--target", target, "--out", files / "plan.json", *more,
    )  # fmt: skip
    return done.returncode, done.stderr.strip()


def test_all_well(files: Path) -> None:
    assert plan(files) == (0, "")
    assert json.loads((files / "plan.json").read_text())["format"] == 1


@pytest.mark.parametrize(
    ("file", "text", "named"),
    [
        ("profile.json", '{"curves": [{"llm": 3}]}', "curves[0]"),
        ("profile.json", '{"curves": [], "extra": 1}', "extra"),
        ("profile.json", "{", "profile.json"),
        ("cluster.toml", '[[nodes]]\nname = "n"\ngpus = "two"\n', "cluster.toml:3: node 'n': gpus"),
        ("cluster.toml", '[[nodes]]\nname = "n"\ngpus = -1\n', "gpus"),
        ("cluster.toml", "nodes = [", "cluster.toml"),
        ("llms.toml", LLMS + "speed = 3\n", "speed"),
        ("traces/calls.jsonl", '{"call": 1}\n', "calls.jsonl:1"),
        ("traces/calls.jsonl", "nonsense\n", "calls.jsonl:1"),
    ],
)
def test_a_malformed_file_is_named_with_the_field(
    files: Path, file: str, text: str, named: str
) -> None:
    (files / file).write_text(text)
    code, said = plan(files)
    assert code == 2, said
    assert Path(file).name in said
    assert named in said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1
    assert not (files / "plan.json").exists()


def test_a_target_nobody_can_meet_says_what_binds_and_what_is_possible(files: Path) -> None:
    code, said = plan(files, "w=1000")
    assert code == 7
    assert "highest rate" in said
    assert "'a'" in said
    assert not (files / "plan.json").exists()


def test_a_target_for_a_workflow_that_was_not_traced(files: Path) -> None:
    code, said = plan(files, "other=1")
    assert code == 2
    assert "other" in said


def test_a_share_step_must_divide_a_gpu(files: Path) -> None:
    code, said = plan(files, "w=2", "--share-step", "0.3")
    assert code == 2
    assert "share step 0.3" in said


def test_a_malformed_plan_is_not_deployed(files: Path) -> None:
    (files / "plan.json").write_text('{"cluster": {}}')
    done = Marked().scepsy("deploy", files / "plan.json", "--on", "local", "--state", files / "s")
    assert done.returncode == 2
    assert "plan.json" in done.stderr
    assert not (files / "s").exists()


def test_an_unreachable_upstream_is_told_to_the_program_and_to_the_user(tmp_path: Path) -> None:
    program = ROOT / "examples" / "beam_search.py"
    done = Marked().scepsy(
        "trace", "--out", tmp_path / "t", "--upstream", "http://127.0.0.1:9", "--",
        "python", program, "What is 2 + 2?",
    )  # fmt: skip
    assert done.returncode in (4, 8)
    assert "127.0.0.1:9" in done.stderr
