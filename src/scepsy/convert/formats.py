"""The formats that are read, and which of them a file is in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from scepsy.convert import dynamo, langfuse, langsmith, mooncake, otlp, phoenix, tracelab, weka
from scepsy.convert.part import ForeignRecord
from scepsy.convert.span import Span
from scepsy.errors import BadInput


@dataclass(frozen=True, slots=True)
class Format:
    """A foreign format.

    Attributes:
        title: what it is called in messages.
        recognises: whether a record is of this format; looks at names only.
        spans: all spans of a file's records. Raises BadInput where one is malformed.
    """

    title: str
    recognises: Callable[[ForeignRecord], bool]
    spans: Callable[[Iterable[ForeignRecord]], Iterator[Span]]


FORMATS = {
    "otlp": Format("OTLP JSON", otlp.recognises, otlp.spans),
    "phoenix": Format("Phoenix spans", phoenix.recognises, phoenix.spans),
    "langfuse": Format("Langfuse observations", langfuse.recognises, langfuse.spans),
    "langsmith": Format("LangSmith runs", langsmith.recognises, langsmith.spans),
    "dynamo": Format("a Dynamo request trace", dynamo.recognises, dynamo.spans),
    "weka": Format("a table of Claude Code sessions", weka.recognises, weka.spans),
    "tracelab": Format("TraceLab rounds", tracelab.recognises_rounds, tracelab.rounds),
    "tracelab-replay": Format(
        "a TraceLab replay table", tracelab.recognises_sessions, tracelab.sessions
    ),
    "mooncake": Format("a Mooncake trace", mooncake.recognises, mooncake.spans),
}

_ASK_OTLP = "have the collector or its storage export OTLP JSON instead"
_AGENTS = (
    "what the OpenAI Agents SDK sends to its own dashboard: add an OpenTelemetry exporter "
    "(OpenInference, OpenLLMetry), or trace with `scepsy trace`"
)

# What people may well try, by the fields that give it away.
_FOREIGN = (
    (("traceEvents",), "a Chrome/Perfetto trace: it is for looking at, and tells no tokens"),
    (
        ("ContextTokens", "GeneratedTokens"),
        "an Azure LLM inference trace: single calls of no known LLM and no known run",
    ),
    (("resourceMetrics",), "OTLP metrics, not traces: export the spans"),
    (("resourceLogs",), "OTLP logs, not traces: export the spans"),
    (("call", "run", "llm", "endpoint"), "calls of Scepsy itself: name their directory instead"),
    (("messages",), "a conversation or a fine-tuning set: it tells no times"),
    (("conversations",), "a fine-tuning set: it tells no times"),
    (("custom_id",), "a file of the OpenAI batch API: it tells no times and no runs"),
    (("object", "span_data"), _AGENTS),
    (("traceId", "timestamp", "duration"), f"a Zipkin trace: {_ASK_OTLP}"),
    (("traceID",), f"a Jaeger trace: {_ASK_OTLP}"),
    (("data", "total", "limit"), f"an answer of Jaeger's API: {_ASK_OTLP}"),
    (("log",), "a HAR file of a browser: it tells no runs"),
    (("Session ID", "Request tokens"), "BurstGPT: single calls of conversations, no workflow's"),
    (("detail",), "an error message of a server, not a trace: was it asked with the right key?"),
    (("error",), "an error message of a server, not a trace: was it asked with the right key?"),
    (("choices", "usage"), "an answer of the OpenAI API, not a trace"),
)


def detect(first: Sequence[ForeignRecord]) -> str:
    """The name of the format of the records that begin a file. Raises BadInput where none fits."""
    for part in first:
        for name, known in FORMATS.items():
            if known.recognises(part):
                return name
    file = first[0].file
    for part in first:
        for names, what in _FOREIGN:
            if part.has(*names):
                raise BadInput(f"{file}: this is {what}")
    fields = ", ".join(list(first[0].fields)[:8]) or "nothing"
    known = ", ".join(FORMATS)
    raise BadInput(f"{file}: no format that we know; its first record has {fields}. Known: {known}")
