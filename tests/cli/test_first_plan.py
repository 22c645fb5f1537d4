"""A first plan from what a team has already: `scepsy import`, `estimate`, `plan`, and no file by
hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from builders import call
from scepsy.cli.descriptions import cluster_of, llms_of
from scepsy.cli.main import cli
from scepsy.core.llm import LlmSpec
from scepsy.core.trace import Trace
from scepsy.errors import BadInput
from scepsy.hardware.architectures import shape_like
from scepsy.store import read_plan
from scepsy.traces.lengths import with_lengths

ASSETS = Path(__file__).parent.parent / "assets" / "foreign"
BEGIN = 1793527200
RUNS = range(6)


def otlp() -> str:
    """A root and two calls a run, as today's GenAI conventions name them; a run a line."""

    def span(run: int, name: str, start: float, end: float, **told: object) -> dict[str, Any]:
        values = {key.replace("__", "."): value for key, value in told.items()}
        kinds = {str: "stringValue", int: "intValue"}
        return {
            "traceId": f"{run:032x}",
            "spanId": f"{run * 16 + int(start) + 1:016x}",
            "parentSpanId": "" if name == "root" else f"{run * 16 + 1:016x}",
            "name": name,
            "startTimeUnixNano": str(int((BEGIN + 100 * run + start) * 1e9)),
            "endTimeUnixNano": str(int((BEGIN + 100 * run + end) * 1e9)),
            "attributes": [
                {"key": f"gen_ai.{key}", "value": {kinds[type(value)]: value}}
                for key, value in values.items()
            ],
        }

    def document(run: int) -> dict[str, Any]:
        used = {"usage__input_tokens": 900 + run, "usage__output_tokens": 80}
        spans = [
            span(run, "root", 0, 9, operation__name="invoke_workflow", workflow__name="answer"),
            span(run, "a", 1, 3, operation__name="chat", request__model="Qwen/Qwen3-8B", **used),
            span(run, "b", 4, 8, operation__name="chat", request__model="qwen3-32b", **used),
        ]
        return {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}

    return "\n".join(json.dumps(document(run)) for run in RUNS)


def langfuse() -> str:
    def row(run: int, llm: str, start: int, end: int) -> dict[str, Any]:
        return {
            "id": f"{run}-{llm}",
            "trace_id": f"t{run}",
            "trace_name": "answer",
            "parent_observation_id": "",
            "type": "GENERATION",
            "start_time": f"2026-11-01 10:0{run}:{start:02}.000",
            "end_time": f"2026-11-01 10:0{run}:{end:02}.000",
            "provided_model_name": llm,
            "usage_details": {"input": 700, "input_cached_tokens": 200, "output": 80 + run},
        }

    rows = [row(run, *one) for run in RUNS for one in (("qwen3-8b", 1, 3), ("qwen3-32b", 4, 8))]
    return "\n".join(map(json.dumps, rows))


def dynamo() -> str:
    """The shipped record of a call, with other ids and lengths."""
    shipped = json.loads((ASSETS / "dynamo.jsonl").read_text().splitlines()[0])

    def record(run: int, number: int) -> str:
        event = shipped["event"]
        received = event["request"]["request_received_ms"] + 1000 * (100 * run + 2 * number)
        request = event["request"] | {
            "request_id": f"{run}-{number}",
            "request_received_ms": received,
            "input_tokens": 800 + 100 * number,
        }
        context = event["agent_context"] | {"session_id": f"s{run}"}
        return json.dumps(
            {"event": event | {"request": request, "agent_context": context}, "timestamp": 0}
        )

    return "\n".join(record(run, number) for run in RUNS for number in range(3))


def shipped(name: str) -> Callable[[], str]:
    return (ASSETS / name).read_text


def scepsy(*arguments: object) -> str:
    done = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


OPUS = ("--llm", "claude-opus-4-5-20251101=llama-3.1-8b")


@pytest.mark.parametrize(
    ("content", "imported", "planned", "workflow", "llms"),
    [
        (otlp, (), (), "answer", {"Qwen/Qwen3-8B": 1.0, "qwen3-32b": 1.0}),
        (langfuse, (), (), "answer", {"qwen3-8b": 1.0, "qwen3-32b": 1.0}),
        (dynamo, (), (), "answer", {"qwen3-8b": 3.0}),
        (shipped("mooncake.jsonl"), ("--llm", "qwen3-8b"), (), "given", {"qwen3-8b": 1.0}),
        (shipped("weka.csv"), (), OPUS, "claude-code", {OPUS[1].split("=")[0]: 9.6}),
    ],
    ids=["otlp", "langfuse", "dynamo", "mooncake", "weka"],
)
def test_a_first_plan_without_running_anything(
    tmp_path: Path,
    content: Callable[[], str],
    imported: tuple[str, ...],
    planned: tuple[str, ...],
    workflow: str,
    llms: dict[str, float],
) -> None:
    file, traces, profile = tmp_path / "given.txt", tmp_path / "traces", tmp_path / "estimated.json"
    file.write_text(content())
    scepsy("import", file, "--out", traces, *imported)
    gpus = ("--cluster", "2x4xh100")
    scepsy("estimate", traces, *gpus, *planned, "--source", "roofline", "--out", profile)
    scepsy(
        "plan", "--traces", traces, "--profile", profile, *gpus, *planned,
        "--target", f"{workflow}=0.005", "--out", tmp_path / "plan.json",
    )  # fmt: skip
    made = read_plan(tmp_path / "plan.json")
    [demand] = made.demands
    assert {one.llm: round(one.calls, 6) for one in demand.llms} == llms
    assert {part.llm for part in made.allocation.llms} == set(llms)
    assert (made.cluster.gpus, made.cluster.gpu_memory) == (8, 80e9)
    assert any("on modelled curves" in line for line in made.explanation.summary)


def traces_of(*lengths: tuple[int | None, int | None]) -> list[Trace]:
    calls = [
        call(
            "m",
            place,
            place + 1.0,
            call=str(place),
            layer="import",
            prompt_tokens=prompt,
            output_tokens=output,
        )
        for place, (prompt, output) in enumerate(lengths)
    ]
    return [Trace(run="r", workflow="w", start=0, end=9, calls=tuple(calls))]


def test_unknown_lengths_are_the_mean_of_the_others_and_that_is_said() -> None:
    llms = [LlmSpec(name="m")]
    given = traces_of((100, 10), (None, 20), (200, None))
    [full], notes = with_lengths(given, llms)
    lengths = [(call.prompt_tokens, call.output_tokens) for call in full.calls]
    assert lengths == [(100, 10), (150, 20), (200, 15)]
    assert notes == [
        "1 of 3 calls of 'm' in 'w' have no count of prompt tokens: "
        "taken as 150, the mean of the others",
        "1 of 3 calls of 'm' in 'w' have no count of output tokens: "
        "taken as 15, the mean of the others",
    ]
    assert with_lengths([full], llms) == ((full,), [])


def test_lengths_that_none_tells_are_not_guessed() -> None:
    with pytest.raises(
        BadInput, match=r"none of the 2 calls of 'm' in 'w' has a count of its output"
    ):
        with_lengths(traces_of((100, None), (100, None)), [LlmSpec(name="m")])
    embedder = LlmSpec(name="m", kind="embed")  # writes nothing: there is nothing to know
    assert with_lengths(traces_of((100, None)), [embedder])[1] == []


@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("Qwen/Qwen3-8B", "qwen3-8b"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("Meta-Llama-3.1-70B-Instruct-FP8", "llama-3.1-70b-fp8"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "mistral-7b"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b"),
        ("openai/gpt-oss-120b", "gpt-oss-120b"),
        ("gpt-4o", None),
        ("llama-3.2-8b", None),
        ("qwen3-8b-awq", None),
    ],
)
def test_what_a_name_stands_for(name: str, architecture: str | None) -> None:
    assert shape_like(name) == architecture


def test_a_cluster_in_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [node.gpus for node in cluster_of(Path("2x8xH200")).nodes] == [8, 8]
    assert cluster_of(Path("4xl40s")).gpu_memory == 48e9
    with pytest.raises(BadInput, match=r"'abacus' is not known; known GPUs are a100"):
        cluster_of(Path("8xabacus"))
    with pytest.raises(BadInput, match="there must be a node, and a GPU in it"):
        cluster_of(Path("0xh100"))
    monkeypatch.chdir(tmp_path)
    Path("1xh100").write_text("[[nodes]]\nname='a'\ngpus=3\n")  # a file of that name wins
    assert cluster_of(Path("1xh100")).gpus == 3


def test_llms_that_are_not_known_are_asked_for(tmp_path: Path) -> None:
    traces = traces_of((9000, 1200))
    with pytest.raises(BadInput, match=r"size of m is not known; .* --llm 'm=ARCHITECTURE'"):
        llms_of(None, (), traces)
    [spec] = llms_of(None, ["m=qwen3-8b"], traces)
    assert (spec.name, spec.engine, spec.layers, spec.max_context) == ("m", "vllm", 36, 10240)
    with pytest.raises(BadInput, match=r"1 of 1 calls of 'm'.* longer than the 8194 tokens"):
        llms_of(None, ["m=bge-m3"], traces)
    with pytest.raises(BadInput, match="write NAME=ARCHITECTURE"):
        llms_of(None, ["qwen3-8b"], traces)
    file = tmp_path / "llms.toml"
    file.write_text("[[llms]]\nname = 'm'\narchitecture = 'qwen3-8b'\n")
    assert [one.name for one in llms_of(file, ["n=qwen3-32b"], traces)] == ["m", "n"]
    with pytest.raises(BadInput, match="--llm m: the LLM file describes it, too"):
        llms_of(file, ["m=qwen3-8b"], traces)
