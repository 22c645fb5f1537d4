"""From another tool's file to a plan, and back out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from builders import curve
from scepsy.cli.main import cli
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Plan, Target
from scepsy.core.profile import Profile
from scepsy.core.trace import Call
from scepsy.errors import BadInput
from scepsy.planning.planner import plan
from scepsy.profiler.replay.synthesis import TOKEN_CHARS, request_for
from scepsy.store import read_traces

ASSETS = Path(__file__).parent.parent / "assets" / "foreign"


def run(*arguments: object) -> str:
    done = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_import_says_how_many_spans_are_not_llm_calls(tmp_path: Path) -> None:
    said = run("import", ASSETS / "langfuse.jsonl", "--out", tmp_path / "traces")
    assert re.search(r"\d+\sspans; \d+ of them are not LLM calls: \d+ ", said)


def test_import_plan_export(tmp_path: Path) -> None:
    """Where tokens are unknown, a plan still can be made: it needs calls, times and a profile."""
    run("import", ASSETS / "langfuse.jsonl", "--out", tmp_path / "t")
    traces = read_traces(tmp_path / "t").traces
    profile = Profile(
        curves=tuple(
            curve(llm, {0.1: 1.0, 5.0: 2.0}, workflow="answer") for llm in ("qwen3-8b", "llama-70b")
        )
    )
    llms = [LlmSpec(name=name, parameters=8e9) for name in ("qwen3-8b", "llama-70b")]
    cluster = Cluster(nodes=(Node(name="n", gpus=2),), gpu_memory=80e9)
    made = plan(traces, profile, llms, cluster, [Target(workflow="answer", rate=1.0)])
    assert isinstance(made, Plan)
    [demand] = made.demands
    assert {llm.llm: llm.output_tokens for llm in demand.llms} == {
        "qwen3-8b": 30,
        "llama-70b": None,
    }

    run("export", tmp_path / "t", "--format", "otlp", "--out", tmp_path / "spans.jsonl")
    run("import", tmp_path / "spans.jsonl", "--out", tmp_path / "again")
    assert read_traces(tmp_path / "again").traces == traces
    run("export", tmp_path / "t", "--format", "perfetto", "--out", tmp_path / "draw.json")
    events = json.loads((tmp_path / "draw.json").read_text())["traceEvents"]
    assert sorted(event["name"] for event in events if event["ph"] == "X") == [
        "answer",
        "llama-70b",
        "qwen3-8b",
    ]


def test_a_plan_from_traces_without_durations(tmp_path: Path) -> None:
    rows = [
        {"timestamp": 1000 * n, "input_length": 900, "output_length": 20, "session_id": str(n % 3)}
        for n in range(12)
    ]
    file = tmp_path / "sessions.jsonl"
    file.write_bytes(b"\n".join(map(msgspec.json.encode, rows)))
    run("import", file, "--llm", "m", "--out", tmp_path / "t")
    traces = read_traces(tmp_path / "t").traces
    profile = Profile(curves=(curve("m", {0.1: 1.0, 5.0: 2.0}, workflow="sessions"),))
    cluster = Cluster(nodes=(Node(name="n", gpus=1),), gpu_memory=80e9)
    llms = [LlmSpec(name="m", parameters=8e9)]
    made = plan(traces, profile, llms, cluster, [Target(workflow="sessions", rate=0.1)])
    assert isinstance(made, Plan)
    [llm] = made.demands[0].llms
    assert (llm.calls, llm.parallelism, llm.duration, llm.prompt_tokens) == (4, 1, 0, 900)
    shown = run("traces", tmp_path / "t")
    assert "unknown" in shown
    assert "no successful run has durations of all its calls: shares are unknown" in shown


def test_runs_of_unknown_duration_count_in_n_but_not_in_times(tmp_path: Path) -> None:
    head = "trace_id,agent,idx,t_s,type,model,input_tokens,output_tokens,cached_prefix_tokens"
    rows = ["a,main,0,0,n,m,9,1,0,2.0", "a,main,1,5,n,m,9,1,0,4.0", "b,main,0,0,s,m,9,1,0,"]
    file = tmp_path / "requests.csv"
    file.write_text("\n".join([f"{head},api_time_s", *rows]))
    found = json.loads(run("import", file, "--out", tmp_path / "t", "--json"))
    [demand] = found["demands"]
    assert (demand["runs"], demand["latency"]["mean"]) == (2, 9)
    assert (demand["llms"][0]["calls"], demand["llms"][0]["duration"]) == (1.5, 3)
    assert "1 of 3 calls: duration unknown" in found["notes"][0]
    steady = json.loads(run("traces", tmp_path / "t", "--json"))["stability"]
    assert (steady[0]["runs"], steady[0]["untimed"]) == (1, 1)


def test_an_imported_call_is_replayed_at_its_length() -> None:
    known = Call(
        call="c",
        run="r",
        workflow="w",
        llm="a",
        endpoint="chat",
        start=0,
        end=1,
        status=200,
        prompt_tokens=1000,
    )
    _, body = request_for(known, salt="0", templates=frozenset())
    text = json.loads(body)["messages"][0]["content"]
    assert len(text) == 1000 * TOKEN_CHARS
    _, other = request_for(known, salt="1", templates=frozenset())
    assert other != body  # a second pass must find nothing in the prefix cache
    unknown = msgspec.structs.replace(known, prompt_tokens=None)
    assert json.loads(request_for(unknown, salt="0", templates=frozenset())[1])


def test_nothing_to_export(tmp_path: Path) -> None:
    run("import", ASSETS / "dynamo.jsonl", "--out", tmp_path / "t")
    with pytest.raises(BadInput, match="holds no run to export"):
        run(
            "export", tmp_path / "t", "--format", "otlp", "--out", tmp_path / "x", "--workflow", "y"
        )
