"""`scepsy simulate`: files out, and clear words where a plan cannot do what is asked."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from scepsy.cli.simulate import command
from scepsy.core.plan import Plan
from scepsy.errors import BadInput, ScepsyError, Unmeetable
from scepsy.report import wording
from scepsy.report.simulation import render
from scepsy.sim.results.records import SimulationResult
from scepsy.sim.results.study import study
from scepsy.sim.workload.arrivals import arrivals
from scepsy.store import read_plan, read_record, read_traces, write_record

ASSETS = Path(__file__).resolve().parents[1] / "assets" / "v1"
PLAN, TRACES = str(ASSETS / "plan.json"), str(ASSETS / "traces")


def simulate(out: Path, *options: str) -> tuple[str, BaseException | None]:
    done = CliRunner().invoke(
        command, [PLAN, "--traces", TRACES, "--out", str(out), *options], prog_name="simulate"
    )
    return done.output, done.exception


def test_it_writes_its_findings(tmp_path: Path) -> None:
    output, wrong = simulate(tmp_path, "--rate", "rag=0.6", "--duration", "60")
    assert wrong is None
    assert "rag" in output
    found = read_record(tmp_path / "simulation.json", SimulationResult)
    assert found.workflows[0].offered_rate == pytest.approx(0.6, rel=0.15)
    page = (tmp_path / "report.html").read_text()
    assert "The plan sustains this load" in page
    assert page.count("<svg") >= 6
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_it_says_how_fast_the_emulated_engines_of_the_plan_run(tmp_path: Path) -> None:
    faster = tmp_path / "plan.json"
    write_record(faster, msgspec.structs.replace(read_plan(Path(PLAN)), time_scale=8.0))
    rest = ["--traces", TRACES, "--out", str(tmp_path), "--rate", "rag=0.6", "--duration", "30"]
    done = CliRunner().invoke(command, [str(faster), *rest])
    sentence = f"run 8{wording.TIMES} as fast as real GPUs"
    assert sentence in " ".join(done.output.split())
    assert sentence in (tmp_path / "report.html").read_text()
    assert "as fast as real GPUs" not in simulate(tmp_path, *rest[4:])[0]


def test_json_is_the_file(tmp_path: Path) -> None:
    output, wrong = simulate(tmp_path, "--rate", "rag=0.6", "--duration", "30", "--json")
    assert wrong is None
    assert msgspec.json.decode(output) == msgspec.json.decode(
        (tmp_path / "simulation.json").read_bytes()
    )


def test_a_load_beyond_capacity_ends_in_a_statement(tmp_path: Path) -> None:
    _, wrong = simulate(tmp_path, "--rate", "rag=60", "--duration", "4")
    assert isinstance(wrong, Unmeetable)
    assert "the plan does not sustain this load; rag gains" in str(wrong)
    assert "latency of rag keeps growing" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rate", "other=1"), "no successful run of 'other' in the traces; they have rag"),
        (("--rate", "rag=1", "--arrivals", "gamma:x"), "write gamma:CV"),
        (("--rate", "rag=1", "--arrivals", "no-such-file"), "there is no file of this name"),
        (("--rate", "rag"), "write WORKFLOW=RATE"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    _, wrong = simulate(tmp_path, *options)
    assert isinstance(wrong, ScepsyError)
    assert words in str(wrong)


def test_names_are_escaped() -> None:
    plan = read_plan(Path(PLAN))
    traces = read_traces(Path(TRACES)).traces
    evil = "<b>rag</b>"
    renamed = [
        msgspec.structs.replace(
            one,
            workflow=evil,
            calls=tuple(msgspec.structs.replace(call, workflow=evil) for call in one.calls),
        )
        for one in traces
    ]
    found = study(plan, renamed, {evil: (1.0, 20)}, arrivals)
    assert isinstance(found, SimulationResult)
    assert evil not in render(plan, found)
    assert isinstance(plan, Plan)


def test_recorded_arrivals(tmp_path: Path) -> None:
    times = tmp_path / "times"
    times.write_text("\n".join(str(i * i % 97) for i in range(60)))
    _, wrong = simulate(tmp_path, "--rate", "rag=1", "--duration", "50", "--arrivals", str(times))
    assert wrong is None
    times.write_text("soon")
    _, wrong = simulate(tmp_path, "--rate", "rag=1", "--arrivals", str(times))
    assert isinstance(wrong, BadInput)


def test_a_malformed_trace_is_named(tmp_path: Path) -> None:
    (tmp_path / "traces").mkdir()
    for file in Path(TRACES).iterdir():
        (tmp_path / "traces" / file.name).write_bytes(b"{" + file.read_bytes())
    given = [PLAN, "--traces", str(tmp_path / "traces"), "--out", str(tmp_path)]
    done = CliRunner().invoke(command, given, prog_name="simulate")
    assert isinstance(done.exception, BadInput)
    assert str(tmp_path / "traces") in str(done.exception)


def test_an_impossible_plan_ends_in_a_statement(tmp_path: Path) -> None:
    plan = read_plan(Path(PLAN))
    small = msgspec.structs.replace(plan.cluster, gpu_memory=8e9)
    write_record(tmp_path / "plan.json", msgspec.structs.replace(plan, cluster=small))
    given = [str(tmp_path / "plan.json"), "--traces", TRACES, "--out", str(tmp_path)]
    done = CliRunner().invoke(command, given, prog_name="simulate")
    assert isinstance(done.exception, Unmeetable)
    assert "cannot run (memory)" in str(done.exception)
