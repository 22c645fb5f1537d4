from __future__ import annotations

import fcntl
import logging
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import call
from scepsy.core.trace import Call, RunMark
from scepsy.errors import BadInput, NotFound
from scepsy.store import TraceWriter, read_traces


def test_calls_are_grouped_by_workflow_and_run(tmp_path: Path):
    with TraceWriter(tmp_path / "t") as writer:
        for workflow, run, start, end in (
            ("w", "r1", 5.0, 6.0),
            ("w", "r0", 1.0, 4.0),
            ("w", "r0", 0.5, 2.0),
            ("v", "r0", 3.0, 3.5),
        ):
            writer.append(call("m", start, end, workflow=workflow, run=run, layer="url"))
    found = read_traces(tmp_path / "t")
    assert [(t.workflow, t.run, t.start, t.end, len(t.calls)) for t in found.traces] == [
        ("w", "r0", 0.5, 4.0, 2),
        ("v", "r0", 3.0, 3.5, 1),
        ("w", "r1", 5.0, 6.0, 1),
    ]
    assert [c.start for c in found.traces[0].calls] == [0.5, 1.0]
    assert found.warnings == ()
    assert [t.workflow for t in read_traces(tmp_path / "t", workflow="v").traces] == ["v"]


def test_a_mark_says_when_a_run_began_and_ended_and_how(tmp_path: Path):
    with TraceWriter(tmp_path) as writer:
        writer.append(call("m", 1.0, 2.0, run="a", layer="url"))
        writer.append(call("m", 1.0, 2.0, run="b", layer="url", error="died", status=502))
        writer.append(call("m", 3.0, 4.0, run="b", layer="url"))
        writer.append(call("m", 1.0, 2.0, run="c", layer="url", error="died", status=502))
        writer.append(call("m", 1.0, 2.0, run="d", layer="url"))
        writer.append(call("m", 1.0, 3.0, run="d", layer="url", error="left", status=499))
        writer.mark(RunMark(run="a", workflow="w", start=0.0, end=9.0, ok=False))
    runs = {trace.run: trace for trace in read_traces(tmp_path).traces}
    assert (runs["a"].start, runs["a"].end, runs["a"].ok) == (0.0, 9.0, False)
    assert (runs["b"].ok, runs["c"].ok) == (True, False)  # b tried again
    assert runs["d"].ok  # it cancelled what it needed no more


def test_calls_without_a_run_are_kept_aside_and_counted(tmp_path: Path):
    with TraceWriter(tmp_path) as writer:
        writer.append(call("m", 1.0, 2.0, run="a", layer="time", confidence=0.3))
        writer.append(call("m", 1.0, 2.0, run="", layer="none"))
    found = read_traces(tmp_path)
    assert len(found.traces) == len(found.unassigned) == 1
    [warning] = found.warnings
    assert warning.startswith("1 of 2 calls (50%) belong to no known run and count in no workflow")


def test_a_malformed_line_is_named(tmp_path: Path):
    good = msgspec.json.encode(call("m", 1.0, 2.0, layer="url"))
    path = tmp_path / "calls.jsonl"
    for bad, message in (
        (b'{"call": 3}', r"Expected `str`.*\$\.call"),
        (b"{", "truncated"),
        (good.replace(b'"end":2.0', b'"end":0.5'), r"\$\.end: 0\.5 is before \$\.start, 1\.0"),
        (good.replace(b'"llm":"m",', b""), "missing required field `llm`"),
    ):
        path.write_bytes(good + b"\n" + bad + b"\n" + good + b"\n")
        with pytest.raises(BadInput, match=rf"calls\.jsonl:2: .*{message}"):
            read_traces(tmp_path)
    path.write_bytes(good + b"\n")
    (tmp_path / "runs.jsonl").write_bytes(b'{"run": 1}\n')
    with pytest.raises(BadInput, match=r"runs\.jsonl:1: .*\$\.run"):
        read_traces(tmp_path)


def test_a_torn_last_line_is_told_and_the_next_writer_cuts_it_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with TraceWriter(tmp_path) as writer:
        writer.append(call("m", 1.0, 2.0, layer="url"))
    path = tmp_path / "calls.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-20])
    found = read_traces(tmp_path)
    assert len(found.traces[0].calls) == 1
    assert "calls.jsonl:2: the last line is torn" in found.warnings[0]
    with caplog.at_level(logging.WARNING), TraceWriter(tmp_path) as writer:
        writer.append(call("n", 3.0, 4.0, layer="url"))
    assert "cut off a torn last line" in caplog.text
    found = read_traces(tmp_path)
    assert [c.llm for c in found.traces[0].calls] == ["m", "n"]
    assert found.warnings == ()


def test_what_is_no_trace_directory_says_so(tmp_path: Path):
    with pytest.raises(NotFound, match=r"no calls\*\.jsonl here"):
        read_traces(tmp_path)
    with pytest.raises(NotFound):
        read_traces(tmp_path / "not-there")
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        TraceWriter(tmp_path / "file")


calls = st.builds(
    Call,
    call=st.uuids().map(str),
    run=st.sampled_from(["a", "b", "c"]),
    workflow=st.sampled_from(["v", "w"]),
    llm=st.text(),
    endpoint=st.sampled_from(["chat", "rerank"]),
    start=st.floats(0, 10),
    end=st.floats(10, 20),
    status=st.just(200),
    layer=st.sampled_from(["url", "time", "none"]),
    request=st.none() | st.text(),
)


@given(st.lists(calls, max_size=12))
def test_every_call_is_found_again_once(tmp_path_factory: pytest.TempPathFactory, some: list[Call]):
    directory = tmp_path_factory.mktemp("traces")
    with TraceWriter(directory) as writer:
        for one in some:
            writer.append(one)
    found = read_traces(directory)
    read = [*found.unassigned, *(one for one_run in found.traces for one in one_run.calls)]
    assert sorted(read, key=lambda one: one.call) == sorted(some, key=lambda one: one.call)
    for one_run in found.traces:
        assert {(c.workflow, c.run) for c in one_run.calls} == {(one_run.workflow, one_run.run)}


def test_what_utf8_cannot_hold_is_replaced(tmp_path: Path):
    with TraceWriter(tmp_path) as writer:
        writer.append(call("m", 1.0, 2.0, layer="url", error="half \ud83d of it", status=502))
    [run] = read_traces(tmp_path).traces
    assert run.calls[0].error == "half ? of it"


def test_opening_a_directory_never_cuts_the_line_that_another_writer_is_at(tmp_path: Path):
    with TraceWriter(tmp_path) as writer:
        writer.append(call("m", 1.0, 2.0, layer="url"))
    path = tmp_path / "calls.jsonl"
    line = path.read_bytes()
    other = threading.Thread(target=lambda: TraceWriter(tmp_path).close())
    with path.open("ab", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(line[:-20])
        other.start()
        other.join(0.2)  # without locks it would have cut the first half off by now
        file.write(line[-20:])
    other.join()
    assert path.read_bytes() == line + line


def test_counts_that_cannot_be_are_unknown_and_said(tmp_path: Path):
    with TraceWriter(tmp_path) as writer:
        writer.append(call("m", 1.0, 2.0, layer="url", prompt_tokens=-1, output_tokens=7))
        writer.append(call("m", 1.0, 2.0, layer="url", output_tokens=-5, items=0))
        writer.append(call("m", 1.0, 2.0, layer="url", prompt_tokens=0, output_tokens=0))
    found = read_traces(tmp_path)
    (run,) = found.traces
    seen = [(one.prompt_tokens, one.output_tokens, one.items) for one in run.calls]
    assert seen == [(None, 7, 1), (100, None, 1), (0, 0, 1)]
    assert len(found.warnings) == 1
    assert "2 of 3 calls have a count below zero" in found.warnings[0]
