"""What `scepsy traces` counts, draws and warns of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from builders import call
from scepsy.cli.traces import command
from scepsy.core.trace import RunMark
from scepsy.errors import BadInput
from scepsy.store import TraceWriter


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two good runs and a failed one of `good`, one failed run of `broken`."""
    with TraceWriter(tmp_path) as writer:
        for run, length in (("short", 1.0), ("long", 9.0), ("bad", 2.0)):
            writer.append(call("a", 0.0, length, run=run, workflow="good", layer="url"))
        writer.mark(RunMark(run="bad", workflow="good", start=0.0, end=0.0, ok=False))
        writer.append(call("b", 0.0, 1.0, run="x", workflow="broken", layer="url", status=500))
    return tmp_path


def shown(*arguments: object) -> str:
    done = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def drawn(output: str) -> list[str]:
    return [line for line in output.splitlines() if " calls, " in line]


def test_a_workflow_that_only_failed_is_a_warning_and_counted(directory: Path) -> None:
    found = json.loads(shown(directory, "--json"))
    assert [demand["workflow"] for demand in found["demands"]] == ["good"]
    [warning] = found["warnings"]
    assert "'broken'" in warning
    for one in found["counts"]:
        assert one.pop("represented_runs") == one["runs"]
    assert found["counts"] == [
        {"workflow": "broken", "runs": 1, "failed_runs": 1, "calls": 1, "failed_calls": 1},
        {"workflow": "good", "runs": 3, "failed_runs": 1, "calls": 3, "failed_calls": 0},
    ]


def test_every_head_of_the_shares_is_explained(tmp_path: Path) -> None:
    with TraceWriter(tmp_path) as writer:
        for number in range(9):
            begin = 1.7e9 + 10 * number
            for llm, length in (("a", 1.0 + number / 10), ("b", 0.5)):
                one = call(llm, begin, begin + length, run=f"r{number}", workflow="w", layer="url")
                writer.append(one)
    output = " ".join(shown(tmp_path).split())
    assert "runs to add" in output
    for head in ("+-: half-width of the 95% interval", "drift: rank correlation", "runs to add: "):
        assert head in output


def test_shares_that_are_not_shown_are_not_explained(directory: Path) -> None:
    assert "drift" not in shown(directory)


def test_without_a_name_the_median_run_of_each_workflow_is_drawn(directory: Path) -> None:
    output = shown(directory)
    assert drawn(output) == ["good run long: 1 calls, 9.00 s"]
    assert "warning: workflow 'broken'" in output


@pytest.mark.parametrize(("run", "workflow"), [("short", "good"), ("bad", "good"), ("x", "broken")])
def test_a_named_run_is_the_only_one_drawn(directory: Path, run: str, workflow: str) -> None:
    [heading] = drawn(shown(directory, "--run", run))
    assert heading.startswith(f"{workflow} run {run}: 1 calls")
    assert heading.endswith(", failed") == (run != "short")


def test_the_heads_of_the_table_are_explained(directory: Path) -> None:
    output = shown(directory)
    assert "n: calls per run; p: mean number of open calls" in output


def test_a_run_must_be_there_and_be_one(directory: Path) -> None:
    with pytest.raises(BadInput, match="there is no run 'y'"):
        shown(directory, "--run", "y")
    with TraceWriter(directory) as writer:
        writer.append(call("b", 0.0, 1.0, run="short", workflow="other", layer="url"))
    with pytest.raises(BadInput, match="add --workflow"):
        shown(directory, "--run", "short")
    assert len(drawn(shown(directory, "--run", "short", "--workflow", "other"))) == 1


def test_a_workflow_that_is_not_there_is_an_error_that_names_those_that_are(
    directory: Path,
) -> None:
    with pytest.raises(BadInput, match=r"no run of 'typo'.* broken, good"):
        shown(directory, "--workflow", "typo")
