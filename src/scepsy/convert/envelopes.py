"""Records inside envelopes that programs wrap around them: `{"data": [...]}`, `{"trace": {...}}`,
JSON as text inside JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import cast

from scepsy.convert.findings import Findings
from scepsy.convert.foreign_record import ForeignRecord, Json
from scepsy.convert.tables import table_rows

_NAMES = (
    "data", "traces", "trace", "spans", "observations", "runs", "calls", "requests", "items",
    "results", "result", "records", "rows", "hits", "_source", "events", "event", "batch", "value",
    "response", "body", "payload", "content", "attributes", "span", "json", "message", "log",
    "standard_logging_object", "kwargs",
)  # fmt: skip
"""Fields that may hold records, the most likely first."""
_DEPTH_MAX = 5
"""Envelopes in envelopes; Elasticsearch's `hits.hits[]._source` has three."""


def unwrap(
    record: ForeignRecord, known: Callable[[ForeignRecord], bool]
) -> Sequence[ForeignRecord]:
    """The records of known formats inside this one; itself where it is one, or where there is none.

    `known` says whether a record is of a format that is read.
    """

    def recognised(one: ForeignRecord) -> bool:
        return known(replace(one, findings=Findings()))

    found = list(_inside(record, recognised, _DEPTH_MAX))
    return found or [row for row in table_rows(record) if recognised(row)] or [record]


def _inside(
    record: ForeignRecord, recognised: Callable[[ForeignRecord], bool], depth: int
) -> Iterator[ForeignRecord]:
    if recognised(record):
        yield record
        return
    for name in _NAMES if depth else ():
        items = _items(record, name)
        found = [list(_inside(one, recognised, depth - 1)) for one in items]
        if any(found):
            for item, inner in zip(items, found, strict=True):
                if not inner:
                    record.findings.leave_out(f"no record that is known in {name!r}", item.place)
                yield from inner
            return


def _items(record: ForeignRecord, name: str) -> list[ForeignRecord]:
    value = record.fields.get(name)
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            value = cast(object, json.loads(value))
    if isinstance(value, dict):
        return [record.with_fields(f"{record.path}.{name}", cast(Json, value))]
    if not isinstance(value, list):
        return []
    return [
        record.with_fields(f"{record.path}.{name}[{index}]", cast(Json, one))
        for index, one in enumerate(cast(list[object], value))
        if isinstance(one, dict)
    ]
