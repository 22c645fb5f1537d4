"""The formats that can be imported, and the detection of a file's format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from scepsy.convert import (
    braintrust,
    datadog,
    dynamo,
    helicone,
    langfuse,
    langsmith,
    litellm,
    mooncake,
    otlp,
    phoenix,
    sentry,
    tracelab,
    weave,
    weka,
)
from scepsy.convert.envelopes import unwrap
from scepsy.convert.findings import Findings
from scepsy.convert.foreign_record import ForeignRecord
from scepsy.convert.not_traces import what_else
from scepsy.convert.span import Span
from scepsy.errors import BadInput


@dataclass(frozen=True, slots=True)
class Format:
    """A foreign format.

    Attributes:
        title: what it is called in messages.
        recognises: whether a record is of this format.
        spans: all spans of a file's records. A record that is malformed is left out, and noted in
            the `findings` of the records.
    """

    title: str
    recognises: Callable[[ForeignRecord], bool]
    spans: Callable[[Iterable[ForeignRecord]], Iterator[Span]]


FORMATS = {
    "otlp": Format("OTLP JSON", otlp.recognises, otlp.spans),
    "phoenix": Format("Phoenix spans", phoenix.recognises, phoenix.spans),
    "otel-spans": Format(
        "OpenTelemetry spans, one an object", phoenix.recognises_others, phoenix.spans
    ),
    "sentry": Format("Sentry transactions", sentry.recognises, sentry.spans),
    "langfuse": Format("Langfuse observations", langfuse.recognises, langfuse.spans),
    "langsmith": Format("LangSmith runs", langsmith.recognises, langsmith.spans),
    "datadog": Format("Datadog LLM Observability spans", datadog.recognises, datadog.spans),
    "weave": Format("Weave calls", weave.recognises, weave.spans),
    "braintrust": Format("Braintrust logs", braintrust.recognises, braintrust.spans),
    "helicone": Format("Helicone requests", helicone.recognises, helicone.spans),
    "litellm": Format("LiteLLM logs", litellm.recognises, litellm.spans),
    "dynamo": Format("a Dynamo request trace", dynamo.recognises, dynamo.spans),
    "weka": Format("a table of Claude Code sessions", weka.recognises, weka.spans),
    "tracelab": Format("TraceLab rounds", tracelab.recognises_rounds, tracelab.rounds),
    "tracelab-replay": Format(
        "a TraceLab replay table", tracelab.recognises_sessions, tracelab.sessions
    ),
    "mooncake": Format("a Mooncake trace", mooncake.recognises, mooncake.spans),
}


def unwrapped(record: ForeignRecord) -> Sequence[ForeignRecord]:
    """The records of known formats inside an envelope; the record itself where there is none."""
    return unwrap(record, lambda one: any(known.recognises(one) for known in FORMATS.values()))


def detect(first: Sequence[ForeignRecord]) -> str:
    """The name of the format of the records that begin a file.

    Raises BadInput where none fits, or where several fit equally well: then the user must say.
    """
    quiet = [replace(part, findings=Findings()) for part in first]
    fits = Counter(
        name for part in quiet for name, known in FORMATS.items() if known.recognises(part)
    )
    most = max(fits.values(), default=0)
    best = [name for name in FORMATS if fits[name] == most]
    file = first[0].file
    if most and len(best) == 1:
        return best[0]
    if most:
        titles = " or ".join(f"{FORMATS[name].title} (--format {name})" for name in best)
        raise BadInput(f"{file}: may be {titles}: say which by --format")
    if (what := what_else(quiet)) is not None:
        raise BadInput(f"{file}: this is {what}")
    known = ", ".join(FORMATS)
    raise BadInput(
        f"{file}: its format is not one that can be imported; its first record has "
        f"{first[0].names}. The formats are {known}"
    )


def spans_of(name: str, records: Iterable[ForeignRecord]) -> Iterator[Span]:
    """The spans of a file in the format of that name. Records of another format are left out."""
    known = FORMATS[name]
    return known.spans(_fitting(known, records))


def _fitting(known: Format, records: Iterable[ForeignRecord]) -> Iterator[ForeignRecord]:
    for record in records:
        quiet = replace(record, findings=Findings())
        if known.recognises(quiet):
            yield record
        else:
            what = what_else([quiet]) or f"not {known.title}"
            record.findings.leave_out(what, record.place)
