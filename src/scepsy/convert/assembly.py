"""Spans -> calls and run marks: each LLM call once, with what is known of it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from scepsy.convert.duplicate_spans import distinct_calls
from scepsy.convert.findings import Finding, Findings
from scepsy.convert.import_notes import Totals, notes_on
from scepsy.convert.plausible import plausible
from scepsy.convert.span import Span
from scepsy.core.trace import Call, RunMark
from scepsy.errors import BadInput

NAMELESS = "tells no LLM; name the one that was called with --llm"


@dataclass(frozen=True, slots=True)
class Imported:
    """Calls and marks as a trace directory holds them, and what became of all other spans.

    Attributes:
        notes: sentences on what is not as one might think.
        spans: how many there were, each counted once.
        skipped: the spans that are no LLM calls, by kind.
        left_out: records that could not be used.
        unknown: values that were not believed; their calls count.
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
) -> Imported:
    """Every LLM call once, runs marked where the file tells more of them than their calls.

    A run lasts from its first span to its last where the file has spans that are no LLM calls, else
    from its first call to its last. A call that never ended, or that names no LLM, is left out.

    Args:
        workflow: name to give to all runs; None: as the file tells, else `fallback`.
        llm: name for calls that tell none.
        findings: what was noted while the records were read, and takes what is noted here.

    Raises:
        BadInput: there is no call; says what there was instead.
    """
    findings = Findings() if findings is None else findings
    runs, seen = _by_run(spans, findings)
    calls: list[Call] = []
    marks: list[RunMark] = []
    totals = Totals(twice=seen - sum(map(len, runs.values())))
    for members in runs.values():
        own = distinct_calls(members)
        totals.told += sum(span.asked is not None for span in members)
        totals.distinct += len(own)
        name = workflow or _workflow(members) or fallback
        run = next((span.run for span in members if span.run is not None), members[0].trace)
        made = [call for span in own for call in _calls(span, run, name, llm, findings, totals)]
        calls += made
        mark = _mark(members, run, name) if made else None
        marks += [mark] if mark is not None else []
    skipped = Counter(
        span.what for members in runs.values() for span in members if span.asked is None
    )
    if not calls:
        raise BadInput(_nothing(fallback, seen, skipped, totals, findings))
    return Imported(
        calls=tuple(calls),
        marks=tuple(marks),
        notes=tuple(notes_on(calls, totals, skipped)),
        spans=seen - totals.twice,
        skipped=dict(skipped.most_common()),
        left_out=findings.left_out,
        unknown=findings.doubted,
    )


def _by_run(spans: Iterable[Span], findings: Findings) -> tuple[dict[str, list[Span]], int]:
    """The spans of each trace by their start, and how many were told in all. Of a span that was
    told several times the first counts that had ended.
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
    told = [span.workflow for span in spans if span.workflow is not None]
    guessed = [span.workflow_guess for span in spans if span.workflow_guess is not None]
    return next(iter(told + guessed), None)


def _calls(
    span: Span, run: str, workflow: str, llm: str | None, findings: Findings, totals: Totals
) -> list[Call]:
    """The call that a span tells; none where it cannot be used."""
    asked, end = span.asked, span.end
    if asked is None or end is None:
        totals.unended += 1
        return []
    name = asked.llm or llm
    if name is None:
        if span.error is None:
            totals.nameless += 1
            findings.leave_out(NAMELESS, span.where)
        else:  # some instrumentations learn an LLM's name from its answer
            totals.nameless_failures += 1
        return []
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
        return [msgspec.convert({**known, **_finite(span.own), **fixed}, Call)]
    except msgspec.ValidationError as error:
        findings.leave_out(str(error), span.where)
        totals.malformed += 1
        return []


def _finite(fields: object) -> dict[str, object]:
    """Fields without numbers that JSON cannot say."""
    told: dict[str, object] = dict(fields)  # pyright: ignore
    return {
        name: value
        for name, value in told.items()
        if not isinstance(value, float) or math.isfinite(value)
    }


def _mark(spans: Sequence[Span], run: str, workflow: str) -> RunMark | None:
    """What the run took as a whole; None where the calls are all that is told of it."""
    if all(span.asked is not None for span in spans):
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


def _nothing(
    file: str, seen: int, skipped: Counter[str], totals: Totals, findings: Findings
) -> str:
    """The message where no call is left."""
    parts = [f"{count} {kind}" for kind, count in skipped.most_common()]
    parts += [f"{totals.unended} LLM calls that never ended"] if totals.unended else []
    parts += [str(one) for one in (*findings.left_out, *findings.doubted)][:5]
    there = f" There is: {'; '.join(parts)}" if parts else ""
    return (
        f"{file}: none of its {seen} spans is an LLM call that ended: there is nothing to plan "
        f"with; was the LLM client instrumented?{there}"
    )
