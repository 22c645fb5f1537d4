"""A file that is not what we read says what it is, and where it is wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from scepsy.cli.import_ import command
from scepsy.errors import BadInput, NotFound
from scepsy.store import read_foreign, read_traces

ASSETS = Path(__file__).parent.parent / "assets" / "foreign"


def take(file: Path, *more: str) -> str:
    arguments = [str(file), "--out", str(file.parent / "out"), *more]
    return CliRunner().invoke(command, arguments, catch_exceptions=False).output


def otlp(**changed: object) -> str:
    span = {
        "traceId": "t",
        "spanId": "s",
        "startTimeUnixNano": "1000000000",
        "endTimeUnixNano": "2000000000",
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"key": "gen_ai.request.model", "value": {"stringValue": "a"}},
        ],
    }
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{**span, **changed}]}]}]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        (" \n\n", "the file is empty"),
        ("[]", "holds no record"),
        ("PAR1\x15", "Parquet: export JSON lines"),
        ("PK\x03\x04..", "a zip archive"),
        ("<!doctype html>", "HTML or XML, not a trace.*logged in"),
        ("\x0a\x00\x01", "binary, not text: OTLP as protobuf"),
        ("hello", "neither JSON records nor CSV .*; it begins with 'hello'"),
        ("# a, b\n\nsome text\n", ":3: not JSON, and not CSV: 1 columns"),
        ("[1, 2]", r"\$\[0\]: expected an object, found 1"),
        ('{"a": 1', "not valid JSON, or cut off"),
        ('{"run_type": "llm", "id": "x", "start_time": 5}\n{"a"', ":2: not valid JSON"),
        (
            '{"x": 1, "y": 2}',
            "not one that can be imported; its first record has x, y. The formats are otlp",
        ),
        ('{"traceEvents": []}', "this is a Chrome/Perfetto trace"),
        ('{"resourceMetrics": []}', "this is OTLP metrics, not traces"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n1,2,3\n", "this is an Azure LLM inference"),
        ('{"messages": []}', "this is a conversation"),
        ("version https://git-lfs.github.com/spec/v1\noid x\n", "a Git LFS pointer: fetch"),
        ('{"traceId": "a", "timestamp": 1, "duration": 2}', "a Zipkin trace: have the collector"),
        ('{"data": [], "total": 0, "limit": 0}', "an answer of Jaeger's API"),
        ('{"data": {"spans": []}, "info": {}}', "an empty export: 'spans' holds nothing"),
        ('{"data": []}', "an empty export: 'data' holds nothing. Does it cover the time"),
        ("{}", "its first record has no field"),
        ("null", "neither JSON records nor CSV .*; it begins with 'null'"),
        ("id,trace_id,name\n", "it holds no record. Does the export"),
        ('{"resourceSpans": [{"scopeSpans": [{"spans": []}]}]}', "it holds no span. Does"),
        ('{"resourceSpans": [{"scopeSpans": [{"spans": [{"name', "cut off: Unterminated string"),
        (otlp(endTimeUnixNano=None), "1 LLM call in it, and none .* an LLM call that never ended"),
        (otlp(attributes=[], name="GET /"), "its only span is no LLM call; .* There is: 1 other"),
        ('{"custom_id": "r", "url": "/v1/x"}', "a file of the OpenAI batch API"),
        ('{"object": "trace.span", "span_data": {}}', "OpenAI Agents SDK sends to its own"),
        ('{"detail": "Not authenticated"}', "an error message of a server"),
        ('{"log": {"entries": []}}', "a HAR file"),
        ("exporters:\n  otlp:\n", "neither JSON records nor CSV .*; it begins with 'exporters:'"),
        (otlp(traceId=""), r"spans\[0\]: traceId or spanId or startTimeUnixNano is missing"),
        (otlp(startTimeUnixNano="now"), r"startTimeUnixNano is missing"),
        (otlp(attributes=3), r"attributes is not an object"),
        (otlp(attributes=[]), "its only span is no LLM call"),
        ('{"resourceSpans": []}', "it holds no span"),
        (
            '{"timestamp": 1, "input_length": 5, "output_length": 2}',
            ":.*a call without the name of its LLM.*--llm",
        ),
        (
            '{"run_type": "llm", "id": "x", "start_time": "soon"}',
            "start_time is missing",
        ),
    ],
)
def test_bad_files_are_refused_with_what_is_wrong(
    tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "given"
    file.write_text(content)
    with pytest.raises(BadInput, match=message) as refused:
        take(file)
    assert "given" in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_directory_is_refused_as_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="this is a directory; name the files in it"):
        take(tmp_path)
    (tmp_path / "calls.jsonl").touch()
    with pytest.raises(BadInput, match="this is a trace directory already"):
        take(tmp_path)


def test_an_empty_page_among_others_is_said_to_be_one(tmp_path: Path) -> None:
    file = tmp_path / "pages.jsonl"
    file.write_text(otlp() + '\n{"data": []}\n')
    said = " ".join(take(file).split())
    assert "an empty export: 'data' holds nothing" in said


def test_several_files_without_a_call_are_all_meant(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(otlp(attributes=[], spanId=name))
    with pytest.raises(BadInput, match=r"a\.json and 1 more: none of its 2 spans is an LLM call"):
        take(tmp_path / "a.json", str(tmp_path / "b.json"))


def test_a_damaged_gzip_says_so(tmp_path: Path) -> None:
    file = tmp_path / "spans.json.gz"
    file.write_bytes(gzip.compress((ASSETS / "genai_today.json").read_bytes())[:-20])
    with pytest.raises(BadInput, match="gzip data is damaged or cut off"):
        take(file)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        list(read_foreign(tmp_path / "x"))


def test_a_format_that_was_named_must_fit(tmp_path: Path) -> None:
    file = tmp_path / "spans.json"
    file.write_bytes((ASSETS / "genai_today.json").read_bytes())
    with pytest.raises(
        BadInput, match=r"it does not hold LangSmith runs; its first record has resourceSpans"
    ):
        take(file, "--format", "langsmith")


def test_gzip_byte_order_mark_and_several_lines(tmp_path: Path) -> None:
    file = tmp_path / "spans"
    file.write_bytes(gzip.compress(b"\xef\xbb\xbf" + (ASSETS / "dynamo.jsonl").read_bytes()))
    assert "2 calls of 1 run, written to" in take(file).replace("\xa0", " ")
    [run] = read_traces(tmp_path / "out").traces
    assert run.workflow == "answer"


def test_traces_are_never_mixed_with_those_of_an_earlier_import(tmp_path: Path) -> None:
    file = tmp_path / "spans"
    file.write_bytes((ASSETS / "dynamo.jsonl").read_bytes())
    take(file)
    with pytest.raises(BadInput, match="holds traces already; name a new directory"):
        take(file)


def test_names_that_were_given_win(tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    file.write_text('{"timestamp": 1, "input_length": 5, "output_length": 2, "hash_ids": []}\n')
    take(file, "--llm", "m", "--workflow", "w")
    [run] = read_traces(tmp_path / "out").traces
    assert (run.workflow, run.calls[0].llm) == ("w", "m")
