"""Every call once, whatever was told around it; what is unknown stays unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scepsy.convert import Imported, Span, assemble
from scepsy.convert.span import LlmRequest
from scepsy.errors import BadInput

tokens = st.none() | st.integers(1, 10**6)


@st.composite
def leaves(draw: st.DrawFn) -> list[Span]:
    """LLM spans of one run, none inside another."""
    return [
        Span(
            id=f"c{number}",
            trace="t",
            start=(start := draw(st.floats(0, 100))),
            end=start + draw(st.floats(0.001, 10)),
            where="f:1",
            request=LlmRequest(
                llm=draw(st.sampled_from("ab")),
                prompt_tokens=draw(tokens),
                output_tokens=draw(tokens),
            ),
        )
        for number in range(draw(st.integers(1, 6)))
    ]


def put_together(spans: list[Span]) -> Imported:
    return assemble(spans, workflow=None, fallback="f", llm=None)


def calls(spans: list[Span]) -> dict[str, tuple[str, float, float]]:
    return {call.call: (call.llm, call.start, call.end) for call in put_together(spans).calls}


@settings(deadline=None)
@given(leaves(), st.data())
def test_wrapping_and_repeating_spans_changes_no_call(
    found: list[Span], data: st.DataObject
) -> None:
    more: list[Span] = []
    for span in found:
        outer = None
        for depth in range(data.draw(st.integers(0, 3))):
            wrapper = replace(span, id=f"{span.id}w{depth}", parent=outer)
            if data.draw(st.booleans()):
                wrapper = replace(wrapper, request=None)
            more.append(wrapper)
            outer = wrapper.id
        more.append(replace(span, parent=outer))
    more += data.draw(st.lists(st.sampled_from(more), max_size=3))
    told = data.draw(st.permutations(more))
    assert calls(told) == calls(found)


@given(leaves())
def test_unknown_tokens_stay_unknown(found: list[Span]) -> None:
    told = {span.id: span.request for span in found}
    for call in put_together(found).calls:
        asked = told[call.call]
        assert asked is not None
        assert (call.prompt_tokens, call.output_tokens) == (
            asked.prompt_tokens,
            asked.output_tokens,
        )


def span(name: str, **more: object) -> Span:
    known = Span(id=name, trace="t", start=0, end=1, where="f:1", request=LlmRequest(llm="a"))
    return replace(known, **more)  # pyright: ignore


def test_a_wrapper_lends_its_tokens_to_one_call_never_to_several() -> None:
    outer = span("outer", request=LlmRequest(llm="a", output_tokens=7))
    [one] = put_together([outer, span("x", parent="outer")]).calls
    assert one.output_tokens == 7
    two = put_together([outer, span("x", parent="outer"), span("y", parent="outer")]).calls
    assert [call.output_tokens for call in two] == [None, None]


def test_an_embedding_inside_a_chat_is_another_call() -> None:
    inner = span("e", parent="outer", request=LlmRequest(llm="e", endpoint="embeddings"))
    assert set(calls([span("outer"), inner])) == {"outer", "e"}


def test_parents_in_a_circle_end() -> None:
    assert calls([span("x", parent="y", request=None), span("y", parent="x")]) == {"y": ("a", 0, 1)}


def test_a_root_that_failed_fails_the_run_and_a_tool_that_failed_does_not() -> None:
    root, call = span("r", request=None, end=9.0), span("c", parent="r")
    tool = span("tool", parent="r", request=None, error="no such page")
    [mark] = put_together([root, call, tool]).marks
    assert (mark.start, mark.end, mark.ok) == (0, 9, True)
    [mark] = put_together([replace(root, error="gave up"), call]).marks
    assert (mark.ok, mark.error) == (False, "gave up")


def test_a_call_that_never_ended_is_left_out_aloud() -> None:
    found = put_together([span("x"), span("y", end=None)])
    assert [call.call for call in found.calls] == ["x"]
    assert [str(one) for one in found.left_out] == ["f:1: an LLM call that never ended"]


def test_a_failure_that_names_no_llm_is_left_out_unless_it_is_named() -> None:
    lost = span("y", request=LlmRequest(llm=None), error="timeout")
    found = put_together([span("x"), lost])
    assert [call.call for call in found.calls] == ["x"]
    assert "a failed call without the name of its LLM" in str(found.left_out[0])
    named = assemble([span("x"), lost], workflow=None, fallback="f", llm="b")
    assert [(call.llm, call.ok) for call in named.calls] == [("a", True), ("b", False)]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (
            [span("x", request=LlmRequest(llm=None))],
            "f:1: a call without the name of its LLM.*--llm",
        ),
        ([span("x", request=None)], "its only span is no LLM call; was the"),
        ([], "it holds no span. Does"),
    ],
)
def test_what_cannot_be_a_call_is_refused(told: list[Span], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        put_together(told)
