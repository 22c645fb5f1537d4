"""Spans -> calls and run marks: each LLM call once."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from scepsy.convert.duplicate_spans import distinct_calls
from scepsy.convert.findings import Finding, Findings
from scepsy.convert.import_notes import notes_on, number
from scepsy.convert.plausible import plausible
from scepsy.convert.span import Span
from scepsy.core.trace import Call, RunMark
from scepsy.errors import BadInput

NEVER_ENDED = "an LLM call that never ended"
NO_LLM = "a call without the name of its LLM; name it with --llm"
FAILED_WITHOUT_LLM = "a failed call without the name of its LLM"


@dataclass(frozen=True, slots=True)
class Imported:
    """Calls and marks for a trace directory, and an account of all other spans.

    Attributes:
        notes: sentences for the user.
        spans: the number of spans, without duplicates.
        skipped: the number of spans that are no LLM calls, by kind.
        left_out: records that could not be used.
        unknown: values that were impossible and taken as unknown; their calls count.
    """

    calls: tuple[Call, ...]
    marks: tuple[RunMark, ...]
    notes: tuple[str, ...]
    spans: int = 0
    skipped: dict[str, int] = field(default_factory=dict[str, int])
    left_out: tuple[Finding, ...] = ()
    unknown: tuple[Finding, ...] = ()


def assemble(
    spans: Iterable[Span],
    *,
    workflow: str | None,
    fallback: str,
    llm: str | None,
    findings: Findings | None = None,
    source: str | None = None,
) -> Imported:
    """Every LLM call once, and marks for the runs that have spans beside their calls.

    A run lasts from its first span to its last where the file has spans that are no LLM calls, else
    from its first call to its last. A call without an end, or without the name of its LLM, is left
    out.

    Args:
        workflow: the name of all runs; None: the name in the file, else `fallback`.
        llm: the LLM of calls that name none.
        findings: the notes that were taken while the records were read; gets those taken here.
        source: what the spans were read from, for messages; None: `fallback`.

    Raises:
        BadInput: there is no call; says what there was instead.
    """
    findings = Findings() if findings is None else findings
    runs, seen = _by_run(spans, findings)
    calls: list[Call] = []
    marks: list[RunMark] = []
    wrappers = 0
    for members in runs.values():
        own = distinct_calls(members)
        wrappers += sum(span.request is not None for span in members) - len(own)
        name = workflow or _workflow(members) or fallback
        run = next((span.run for span in members if span.run is not None), members[0].trace)
        made = [call for span in own if (call := _call(span, run, name, llm, findings)) is not None]
        calls += made
        mark = _mark(members, run, name) if made else None
        marks += [mark] if mark is not None else []
    skipped = Counter(
        span.kind for members in runs.values() for span in members if span.request is None
    )
    if not calls:
        raise BadInput(_nothing(source or fallback, seen, skipped, findings))
    distinct = sum(map(len, runs.values()))
    notes = notes_on(calls, duplicates=seen - distinct, wrappers=wrappers, skipped=skipped)
    return Imported(
        calls=tuple(calls),
        marks=tuple(marks),
        notes=tuple(notes),
        spans=distinct,
        skipped=dict(skipped.most_common()),
        left_out=findings.left_out,
        unknown=findings.doubted,
    )


def _by_run(spans: Iterable[Span], findings: Findings) -> tuple[dict[str, list[Span]], int]:
    """The spans of each trace in order of their start, and the number of spans before duplicates
    were dropped. Of duplicates the first that has an end is kept.
    """
    runs: defaultdict[str, dict[str, Span]] = defaultdict(dict)
    seen = 0
    for span in spans:
        seen += 1
        before = runs[span.trace].get(span.id)
        if before is None or (before.end is None and span.end is not None):
            runs[span.trace][span.id] = span
    ordered = {
        trace: sorted((plausible(one, findings) for one in found.values()), key=lambda s: s.start)
        for trace, found in runs.items()
    }
    return ordered, seen


def _workflow(spans: Sequence[Span]) -> str | None:
    named = [span.workflow for span in spans if span.workflow is not None]
    guessed = [span.workflow_guess for span in spans if span.workflow_guess is not None]
    return next(iter(named + guessed), None)


def _call(span: Span, run: str, workflow: str, llm: str | None, findings: Findings) -> Call | None:
    """The call that a span records; None, with a finding, where it cannot be used."""
    request, end = span.request, span.end
    if request is None or end is None:
        findings.leave_out(NEVER_ENDED, span.where)
        return None
    name = request.llm or llm
    if name is None:
        # Some instrumentations learn the name of an LLM from its answer, so failures have none.
        findings.leave_out(NO_LLM if span.error is None else FAILED_WITHOUT_LLM, span.where)
        return None
    known: dict[str, object] = {
        "endpoint": request.endpoint,
        "status": 200 if span.error is None else 500,
        "error": span.error,
        "layer": "import",
        "confidence": 1.0,
        "first_token": request.first_token,
        "prompt_tokens": request.prompt_tokens,
        "cached_tokens": request.cached_tokens,
        "output_tokens": request.output_tokens,
        "max_tokens": request.max_tokens,
        "stream": request.stream,
        "items": request.items,
        "call": span.id,
    }
    fixed = {"run": run, "workflow": workflow, "llm": name, "start": span.start, "end": end}
    if span.own:  # our own export omits fields that have their default
        known = {field: known[field] for field in ("call", "endpoint", "status")}
    try:
        return msgspec.convert({**known, **_finite(span.own), **fixed}, Call)
    except msgspec.ValidationError as error:
        findings.leave_out(str(error), span.where)
        return None


def _finite(fields: object) -> dict[str, object]:
    """The fields without infinities and NaN, which JSON has no notation for."""
    given: dict[str, object] = dict(fields)  # pyright: ignore
    return {
        name: value
        for name, value in given.items()
        if not isinstance(value, float) or math.isfinite(value)
    }


def _mark(spans: Sequence[Span], run: str, workflow: str) -> RunMark | None:
    """Start, end and success of the whole run; None where the file has only its calls."""
    if all(span.request is not None for span in spans):
        return None
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


def _nothing(source: str, seen: int, skipped: Counter[str], findings: Findings) -> str:
    """The message where no call is left."""
    parts = [f"{count} {kind}" for kind, count in skipped.most_common()]
    parts += [str(one) for one in (*findings.left_out, *findings.doubted)][:5]
    there = f". There is: {'; '.join(parts)}" if parts else ""
    if not seen and not parts:
        return f"{source}: it holds no span. Does the export cover the time of the runs?"
    if not seen:
        return f"{source}: no span in it can be used{there}"
    calls = seen - sum(skipped.values())
    if calls > 0:
        return f"{source}: {number(calls, 'LLM call')} in it, and none of them can be used{there}"
    none = (
        "its only span is no LLM call" if seen == 1 else f"none of its {seen} spans is an LLM call"
    )
    return f"{source}: {none}; was the LLM client instrumented?{there.removeprefix('.')}"
