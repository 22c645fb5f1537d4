"""Out by OTLP and back are the same runs; Perfetto's threads hold one call at a time."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import call, trace
from scepsy.convert import FORMATS, ForeignRecord, assemble, otlp_documents, perfetto_events
from scepsy.core.trace import Call, Endpoint, RunMark, Trace
from scepsy.errors import BadInput
from scepsy.store import TraceWriter, read_foreign, read_traces

BEGIN = 1.79e9
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
counts = st.none() | st.integers(0, 2**53)


@st.composite
def any_calls(draw: st.DrawFn, workflow: str, run: str, number: int) -> Call:
    start = BEGIN + draw(st.floats(0, 1e6))
    later = st.floats(0, 1e4).map(lambda wait: start + wait)
    return Call(
        call=f"{number}{draw(names)}",
        run=run,
        workflow=workflow,
        llm=draw(names),
        endpoint=draw(st.sampled_from(get_args(Endpoint))),
        start=start,
        end=draw(later),
        status=draw(st.sampled_from([200, 200, 404, 499, 503])),
        layer=draw(st.sampled_from(["url", "header", "import"])),
        confidence=draw(st.floats(0, 1)),
        dispatched=draw(st.none() | later),
        first_token=draw(st.none() | later),
        prompt_tokens=draw(counts),
        cached_tokens=draw(counts),
        output_tokens=draw(counts),
        error=draw(st.none() | names),
        stream=draw(st.booleans()),
        items=draw(st.integers(1, 50)),
        max_tokens=draw(counts),
        prompt_digest=draw(st.sampled_from(["", "d1"])),
        prompt_blocks=tuple(draw(st.lists(names, max_size=3))),
        prompt_chars=draw(st.integers(0, 10**6)),
        replica=draw(st.none() | names),
        attempts=draw(st.integers(1, 3)),
    )


@st.composite
def trace_directories(draw: st.DrawFn) -> tuple[list[Call], list[RunMark]]:
    keys = draw(st.lists(st.tuples(names, names), min_size=1, max_size=3, unique=True))
    calls: list[Call] = []
    marks: list[RunMark] = []
    for workflow, run in keys:
        mine = [draw(any_calls(workflow, run, n)) for n in range(draw(st.integers(1, 4)))]
        calls += mine
        if draw(st.booleans()):
            end = max(one.end for one in mine) + draw(st.floats(0, 10))
            marks.append(
                RunMark(run=run, workflow=workflow, start=BEGIN, end=end, ok=draw(st.booleans()))
            )
    return calls, marks


def stored(directory: Path, calls: list[Call], marks: list[RunMark]) -> tuple[Trace, ...]:
    with TraceWriter(directory) as writer:
        for one in calls:
            writer.append(one)
        for mark in marks:
            writer.mark(mark)
    return read_traces(directory).traces


@settings(deadline=None)
@given(trace_directories())
def test_our_traces_by_way_of_otlp_are_the_same(kept: tuple[list[Call], list[RunMark]]) -> None:
    with TemporaryDirectory() as place:
        before = stored(Path(place) / "before", *kept)
        file = Path(place) / "spans.jsonl"
        file.write_bytes(b"\n".join(map(msgspec.json.encode, otlp_documents(before))))
        back = assemble(
            FORMATS["otlp"].spans(read_foreign(file)), workflow=None, fallback="f", llm=None
        )
        after = stored(Path(place) / "after", list(back.calls), list(back.marks))
    assert after == before


@pytest.mark.parametrize("name", ["NIL", "none", "null", "nan", "N/A", "undefined"])
def test_names_that_elsewhere_stand_for_no_value_come_back(name: str, tmp_path: Path) -> None:
    """Foreign exporters write these texts where a value is missing; our own export does not."""
    before = (trace(call(name, 1, 2, run=name, workflow=name), run=name, workflow=name),)
    file = tmp_path / "spans.jsonl"
    file.write_bytes(b"\n".join(map(msgspec.json.encode, otlp_documents(before))))
    [back] = assemble(
        FORMATS["otlp"].spans(read_foreign(file)), workflow=None, fallback="f", llm=None
    ).calls
    assert (back.llm, back.run, back.workflow) == (name, name, name)


def test_what_was_said_is_not_exported() -> None:
    said = call("a", 1, 2, request='{"secret": 1}', response="secret")
    assert b"secret" not in msgspec.json.encode(list(otlp_documents([trace(said)])))


def test_standard_names_alone_tell_the_main_things() -> None:
    """Another tool that reads our export knows nothing of `scepsy.*`."""
    [document] = otlp_documents([trace(call("a", 1.5, 2, cached_tokens=64))])
    text = msgspec.json.encode(document).replace(b"scepsy.", b"other.")
    parts = [ForeignRecord("f", "", msgspec.json.decode(text))]
    [found] = assemble(FORMATS["otlp"].spans(parts), workflow=None, fallback="f", llm=None).calls
    assert (found.llm, found.start, found.end, found.workflow) == ("a", 1.5, 2, "w")
    assert (found.prompt_tokens, found.cached_tokens, found.output_tokens) == (100, 64, 20)


def test_times_before_1970_are_refused() -> None:
    with pytest.raises(BadInput, match="no times before 1970"):
        list(otlp_documents([trace(call("a", -1, 2))]))


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 20)), min_size=1, max_size=15))
def test_perfetto_shows_each_call_once_and_threads_never_overlap(
    spans: list[tuple[float, float]],
) -> None:
    calls = sorted((call("a", start, start + took) for start, took in spans), key=lambda c: c.start)
    events = list(perfetto_events([trace(*calls)]))
    threads: defaultdict[object, list[tuple[float, float]]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X" and event["tid"] != 0:
            begin, took = event["ts"], event["dur"]
            assert isinstance(begin, float)
            assert isinstance(took, float)
            threads[event["tid"]].append((begin, begin + took))
    assert sum(map(len, threads.values())) == len(calls)
    for drawn in threads.values():
        ends = [end for _, end in drawn]
        begins = [begin for begin, _ in drawn]
        assert all(nxt >= end - 1e-3 for end, nxt in zip(ends, begins[1:], strict=False))
