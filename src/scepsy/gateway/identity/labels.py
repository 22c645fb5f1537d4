"""Reads the run that a call names in its path, headers or body."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from scepsy.core.trace import Layer
from scepsy.gateway.names import is_name
from scepsy.gateway.wire.lenient_json import Json, members, text
from scepsy.gateway.wire.requests import ENDPOINTS, HELPERS

OWN_HEADERS = "x-scepsy-"
OWN_METADATA = "scepsy_"
_OWN_BAGGAGE = "scepsy."
_TRACE_ID = re.compile(r"[0-9a-f]{32}")

# A parent's session comes before its child's: a sub-agent's calls belong to its parent's run.
SESSION_HEADERS = (
    "x-dynamo-parent-session-id",
    "x-parent-session-id",
    "x-codex-parent-thread-id",
    "x-dynamo-session-id",
    "x-session-id",
    "x-claude-code-session-id",
    "thread-id",
    "helicone-session-id",
)


@dataclass(frozen=True, slots=True)
class Address:
    """A path, with the run that is written into it (`/w/WORKFLOW/RUN/v1/...`) taken out."""

    path: str
    workflow: str | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """The run of a call, the evidence for it (`layer`), and the confidence in that evidence (0 to
    1). None means unknown. `refused` counts the labels that are no names (`is_name`): such a label
    counts as missing.
    """

    run: str | None = None
    workflow: str | None = None
    layer: Layer = "none"
    confidence: float = 0.0
    refused: int = 0


def locate(path: str) -> Address:
    """Splits a percent-encoded path into API path, workflow and run."""
    parts = path.split("/")
    if len(parts) < 4 or parts[1] != "w":
        return Address(path)
    workflow = unquote(parts[2])
    without_run, with_run = "/" + "/".join(parts[3:]), "/" + "/".join(parts[4:])
    if not _is_served(without_run) and _is_served(with_run):
        return Address(with_run, workflow, unquote(parts[3]))
    return Address(without_run, workflow)


def identify(headers: Mapping[str, str], address: Address, fields: dict[str, Json]) -> Identity:
    """The run that the call itself names, taken from the most reliable place that names one.

    `headers` must find lower-case names, whatever their case in the request.
    """
    baggage = {key: value for _, key, value in baggage_members(headers.get("baggage", ""))}
    metadata = members(fields.get("metadata"))
    checked = _Labels()
    workflow = checked.first(
        headers.get("x-scepsy-workflow"),
        address.workflow,
        baggage.get("scepsy.workflow"),
        text(metadata.get("scepsy_workflow")),
    )
    crew = baggage.get("crew_context", "").removeprefix("id=")
    named = headers.get("x-scepsy-run")
    opened = headers.get("x-scepsy-opened") == "auto"
    said: tuple[tuple[Layer, tuple[str | None, ...], float], ...] = (
        ("header", () if opened else (named,), 1.0),
        ("url", (address.run,), 1.0),
        ("baggage", (baggage.get("scepsy.run"), crew), 1.0),
        ("metadata", (text(metadata.get("scepsy_run")),), 1.0),
        ("auto", (named,) if opened else (), 0.9),
        ("session", tuple(map(headers.get, SESSION_HEADERS)), 0.8),
    )
    for layer, labels, confidence in said:
        if run := checked.first(*labels):
            return Identity(run, workflow, layer, confidence, checked.refused)
    return Identity(workflow=workflow, refused=checked.refused)


@dataclass(slots=True)
class _Labels:
    """Checks the labels of one call. `refused`: how many of them are no names."""

    refused: int = 0

    def first(self, *labels: str | None) -> str | None:
        """The first label that is a name."""
        for label in labels:
            if label and is_name(label):
                return label
            self.refused += bool(label)
        return None


def trace_id(headers: Mapping[str, str]) -> str | None:
    """The trace id of a W3C `traceparent` header; None if it is missing or invalid."""
    parts = headers.get("traceparent", "").split("-")
    return parts[1] if len(parts) >= 4 and _TRACE_ID.fullmatch(parts[1]) else None


def baggage_members(header: str) -> Iterator[tuple[str, str, str]]:
    """Each member of a W3C `baggage` header: as written, its key, its decoded value."""
    for raw in header.split(","):
        key, equals, value = raw.partition(";")[0].partition("=")
        if equals:
            yield raw, key.strip(), unquote(value.strip())


def is_own_baggage(key: str) -> bool:
    return key.startswith(_OWN_BAGGAGE)


def _is_served(path: str) -> bool:
    return (
        path in ENDPOINTS
        or path in HELPERS
        or path == "/v1/models"
        or path.startswith(("/v1/models/", "/v1/responses/"))
    )
