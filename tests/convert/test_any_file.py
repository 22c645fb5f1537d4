"""Whatever a file holds, the import of it ends with calls or with an error that says why there are
none; and a record that is unusable costs no other record.
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foreign_traces import GENAI, imported, otlp, otlp_span
from scepsy.cli.import_ import command
from scepsy.convert import FORMATS
from scepsy.errors import BadInput
from scepsy.store import read_traces

ASSETS = Path(__file__).parent.parent / "assets" / "foreign"
FIXTURES = [
    file
    for file in sorted([*ASSETS.glob("*.json*"), *(ASSETS / "cases").iterdir()])
    if file.stat().st_size < 30_000
]
DOCUMENTS = {file.name: file for file in FIXTURES if file.suffix == ".json"}
LINES = [
    "exported_openllmetry.jsonl",
    "langfuse.jsonl",
    "langsmith.jsonl",
    "dynamo.jsonl",
]
FIELDS = """
    id trace_id traceId span_id spanId start_time end_time startTimeUnixNano attributes status usage
    metrics model spans data resourceSpans scopeSpans type run_type parent_id name key value
    call_type startTime endTime op_name started_at root_span_id span_attributes start_ns meta
    request_id request_created_at timestamp input_length output_length contexts
"""
NAMES = st.sampled_from(re.findall(r"\w+", FIELDS))
ODD = st.sampled_from(
    ["", "NaN", "None", "[", "{", "{'a': 1}", '{"a": ', "0", "-1", "1e400", "\ud800", "9" * 400]
)
ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | ODD | st.text(max_size=5)
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=25,
)
QUICKLY = settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


def run(folder: Path, content: bytes, *more: str) -> Result:
    """Imports a file with this content by the real command; the error, if any, is a BadInput."""
    file, out = folder / "given", folder / "out"
    file.write_bytes(content)
    for name in ("calls.jsonl", "runs.jsonl"):
        (out / name).unlink(missing_ok=True)
    result = CliRunner().invoke(command, [str(file), "--out", str(out), *more])
    if result.exception is None:
        assert read_traces(out).traces
    elif not isinstance(result.exception, BadInput):
        raise result.exception
    return result


@QUICKLY
@given(value=VALUES)
def test_any_json(folder: Path, value: object) -> None:
    run(folder, json.dumps(value).encode("utf-8", "replace"))


@QUICKLY
@given(
    rows=st.lists(st.dictionaries(NAMES, VALUES, min_size=4, max_size=20), min_size=1, max_size=3)
)
@pytest.mark.parametrize("name", FORMATS)
def test_any_objects_in_every_format(folder: Path, name: str, rows: list[object]) -> None:
    content = "\n".join(map(json.dumps, rows)).encode("utf-8", "replace")
    run(folder, content, "--format", name, "--llm", "m")


@QUICKLY
@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes(folder: Path, content: bytes) -> None:
    run(folder, content)


@QUICKLY
@given(data=st.data(), name=st.sampled_from(sorted(DOCUMENTS)))
def test_documents_with_any_value_anywhere(folder: Path, data: st.DataObject, name: str) -> None:
    document = json.loads(DOCUMENTS[name].read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(list(places(document))))
        holder[key] = data.draw(VALUES | st.just(copy.deepcopy(holder[key])))
    run(folder, json.dumps(document).encode("utf-8", "replace"))


@QUICKLY
@given(data=st.data(), file=st.sampled_from(FIXTURES))
def test_files_with_any_bytes_anywhere(folder: Path, data: st.DataObject, file: Path) -> None:
    content = file.read_bytes()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 50)) | st.just(len(content)))
    run(folder, content[:start] + data.draw(st.binary(max_size=5)) + content[end:])


def places(value: Any) -> Any:
    """Every place in a document: what holds the value, and its key or index."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


@QUICKLY
@given(data=st.data(), name=st.sampled_from(LINES))
def test_a_bad_line_costs_no_other(folder: Path, data: st.DataObject, name: str) -> None:
    lines = (ASSETS / name).read_bytes().splitlines()
    _, whole = imported(folder / "whole", b"\n".join(lines))
    values = VALUES.map(lambda value: json.dumps(value).encode("utf-8", "replace"))
    bad = data.draw(values | st.binary(min_size=1, max_size=20).filter(is_a_bad_line))
    # Not the first line: by that one a file is recognised.
    at = data.draw(st.integers(1, len(lines)))
    _, found = imported(folder / "more", b"\n".join([*lines[:at], bad, *lines[at:]]))
    assert {call.call for call in whole.calls} <= {call.call for call in found.calls}
    if bad[:1] not in b"[{":  # objects may be records without spans, and lists may be empty
        assert [one.count for one in found.left_out] == [1]


def is_a_bad_line(line: bytes) -> bool:
    """Whether it is one line, not empty, and begins no JSON that would go on in the next line."""
    return not set(line) & set(b'\r\n{["\x1f') and bool(line.strip(b" \t\0\x1e\xef\xbb\xbf"))


KINDS = {
    "good": {},
    "other": {"attributes": []},
    "no end": {"endTimeUnixNano": "0"},
    "no start": {"startTimeUnixNano": "soon"},
    "no id": {"spanId": None},
    "no LLM": {"attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}]},
}


@given(kinds=st.lists(st.sampled_from([*KINDS, "no object"]), min_size=1))
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_every_span_is_a_call_or_skipped_or_left_out(folder: Path, kinds: list[str]) -> None:
    spans: list[Any] = [otlp_span("chat", 0, 1, GENAI, id="first")]
    for number, kind in enumerate(kinds):
        good = otlp_span("x", number + 2, number + 3, GENAI, id=f"id{number}")
        spans.append(7 if kind == "no object" else {**good, **KINDS[kind]})
    _, found = imported(folder / "spans", otlp(*spans))
    assert len(found.calls) == 1 + kinds.count("good")
    assert sum(found.skipped.values()) == kinds.count("other")
    assert sum(one.count for one in found.left_out) == sum(
        kind not in ("good", "other") for kind in kinds
    )
