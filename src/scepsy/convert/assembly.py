"""Spans -> calls and run marks: what belongs together, what is the same call told twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from scepsy.convert.duplicate_spans import twins
from scepsy.convert.span import GENERATES, LlmRequest, Span, kind
from scepsy.core.trace import Call, RunMark
from scepsy.errors import BadInput


@dataclass(frozen=True, slots=True)
class Imported:
    """Calls and marks as a trace directory holds them, and sentences on what is not as one might
    think.
    """

    calls: tuple[Call, ...]
    marks: tuple[RunMark, ...]
    notes: tuple[str, ...]


def assemble(
    spans: Iterable[Span], *, workflow: str | None, fallback: str, llm: str | None
) -> Imported:
    """Every LLM call once.

    Where one LLM span contains another of its kind, a framework and an SDK told the same call: the
    innermost counts. Some frameworks do not make their span the parent of the SDK's; then it is
    the one around it in time (`twins`). A run lasts from its first span to its last where the file
    has spans that are no LLM calls, else from its first call to its last.

    Args:
        workflow: name to give to all runs; None: as the file tells, else `fallback`.
        llm: name for calls that tell none.

    Raises:
        BadInput: a span ends before it starts, a call names no LLM, or there is no call.
    """
    runs: defaultdict[str, dict[str, Span]] = defaultdict(dict)
    seen = told = 0
    for span in spans:
        seen += 1
        runs[span.trace].setdefault(span.id, span)
    calls: list[Call] = []
    marks: list[RunMark] = []
    unended = nameless = 0
    for found in runs.values():
        members = sorted(found.values(), key=lambda span: span.start)
        told += sum(span.asked is not None for span in members)
        own = _innermost(members)
        pairs = tuple(twins(own))
        around, lent = {one.id for one, _ in pairs}, {one.id: outer for outer, one in pairs}
        own = [_lent(span, lent.get(span.id)) for span in own if span.id not in around]
        ended = [span for span in own if span.end is not None]
        whole = [span for span in ended if not _nameless_failure(span, llm)]
        unended += len(own) - len(ended)
        nameless += len(ended) - len(whole)
        name = workflow or _workflow(members) or fallback
        run = next((span.run for span in members if span.run is not None), members[0].trace)
        calls += (_call(span, run, name, llm) for span in whole)
        mark = _mark(members, run, name) if whole else None
        marks += [mark] if mark is not None else []
    if not calls:
        raise BadInput(
            f"{fallback}: none of its {seen} spans is an LLM call that ended: there is nothing to "
            "plan with; was the LLM client instrumented?"
        )
    twice = seen - sum(map(len, runs.values()))
    wrappers = told - len(calls) - unended - nameless
    left_out = {"never ended": unended, "failed and name no LLM": nameless}
    notes = tuple(_notes(calls, twice, wrappers, left_out))
    return Imported(tuple(calls), tuple(marks), notes)


def _innermost(spans: Sequence[Span]) -> list[Span]:
    """The LLM spans that contain no other of their kind, with the token counts that only their
    wrapper knows.
    """
    by_id = {span.id: span for span in spans}
    inside: defaultdict[str, list[str]] = defaultdict(list)
    asked = {span.id: span.asked for span in spans if span.asked is not None}
    for one in asked:
        for outer in _ancestors(by_id[one], by_id):
            if outer in asked and kind(asked[outer]) == kind(asked[one]):
                inside[outer].append(one)
    leaves = [one for one in asked if one not in inside]
    for outer, inner in inside.items():
        only = [one for one in inner if one not in inside]
        if len(only) == 1:
            asked[only[0]] = _completed(asked[only[0]], asked[outer])
    return [replace(by_id[one], asked=asked[one]) for one in leaves]


def _ancestors(span: Span, by_id: dict[str, Span]) -> Iterator[str]:
    passed = {span.id}
    parent = span.parent
    while parent is not None and parent in by_id and parent not in passed:
        yield parent
        passed.add(parent)
        parent = by_id[parent].parent


def _lent(span: Span, outer: Span | None) -> Span:
    if span.asked is None or outer is None or outer.asked is None:
        return span
    return replace(span, asked=_completed(span.asked, outer.asked))


def _completed(inner: LlmRequest, outer: LlmRequest) -> LlmRequest:
    known = {
        name: getattr(outer, name)
        for name in (
            "llm",
            "prompt_tokens",
            "cached_tokens",
            "output_tokens",
            "max_tokens",
            "first_token",
        )
        if getattr(inner, name) is None
    }
    return replace(inner, **known)


def _workflow(spans: Sequence[Span]) -> str | None:
    told = [span.workflow for span in spans if span.workflow is not None]
    guessed = [span.workflow_guess for span in spans if span.workflow_guess is not None]
    return next(iter(told + guessed), None)


def _call(span: Span, run: str, workflow: str, llm: str | None) -> Call:
    asked, end = span.asked, span.end
    if asked is None or end is None:
        raise AssertionError(span.where)
    _check_order(span)
    name = asked.llm or llm
    if name is None:
        raise BadInput(f"{span.where}: tells no LLM; name the one that was called with --llm")
    known: dict[str, object] = {
        "endpoint": asked.endpoint,
        "status": 200 if span.error is None else 500,
        "error": span.error,
        "layer": "import",
        "confidence": 1.0,
        "first_token": asked.first_token,
        "prompt_tokens": asked.prompt_tokens,
        "cached_tokens": asked.cached_tokens,
        "output_tokens": asked.output_tokens,
        "max_tokens": asked.max_tokens,
        "stream": asked.stream,
        "items": asked.items,
        "call": span.id,
    }
    fixed = {"run": run, "workflow": workflow, "llm": name, "start": span.start, "end": end}
    if span.own:  # ours: what it does not say is as by default
        known = {field: known[field] for field in ("call", "endpoint", "status")}
    try:
        return msgspec.convert({**known, **span.own, **fixed}, Call)
    except msgspec.ValidationError as error:
        raise BadInput(f"{span.where}: {error}") from None


def _mark(spans: Sequence[Span], run: str, workflow: str) -> RunMark | None:
    """What the run took as a whole; None where the calls are all that is told of it."""
    others = [span for span in spans if span.asked is None]
    if not others:
        return None
    for span in others:
        _check_order(span)
    ids = {span.id for span in spans}
    failed = [one.error for one in spans if one.parent not in ids and one.error is not None]
    return RunMark(
        run=run,
        workflow=workflow,
        start=min(span.start for span in spans),
        end=max(span.start if span.end is None else span.end for span in spans),
        ok=not failed,
        error=failed[0] if failed else None,
    )


def _check_order(span: Span) -> None:
    if span.end is not None and span.end < span.start:
        raise BadInput(f"{span.where}: ends {span.start - span.end:g} s before it starts")


def _nameless_failure(span: Span, llm: str | None) -> bool:
    """Some instrumentations learn an LLM's name from its answer."""
    unnamed = span.asked is not None and span.asked.llm is None and llm is None
    return unnamed and span.error is not None


def _notes(
    calls: Sequence[Call], twice: int, wrappers: int, left_out: Mapping[str, int]
) -> Iterator[str]:
    if twice:
        yield f"{twice} spans were told more than once, and counted once"
    if wrappers:
        yield f"{wrappers} LLM spans are around another one of the same call, and were not counted"
    for why, count in left_out.items():
        if count:
            yield f"{count} calls {why}, and were left out"
    for name, told in (("prompt", "prompt_tokens"), ("output", "output_tokens")):
        generating = [call for call in calls if name == "prompt" or call.endpoint in GENERATES]
        unknown = sum(getattr(call, told) is None for call in generating)
        if unknown:
            yield f"{unknown} of {len(generating)} calls tell no {name} tokens: unknown"
    untimed = sum(not call.timed for call in calls)
    if untimed:
        yield (
            f"{untimed} of {len(calls)} calls tell no duration: "
            "they count in n, but not in parallelism and shares of time"
        )
    runs = {(call.workflow, call.run) for call in calls}
    if 1 < len(runs) == len(calls):
        yield (
            f"each of the {len(runs)} runs has one call: if a run of yours makes more, "
            "its calls were not tied together when they were recorded (no root span, no session)"
        )
