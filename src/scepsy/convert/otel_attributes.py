"""The attributes of an OpenTelemetry span or resource as one flat object with dotted names.

OTLP has a list of keys with typed values; others write an object, flat or nested, or the JSON text
of one; tables have a column for each attribute (`attributes.llm.model_name`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import cast

from scepsy.convert.foreign_record import ForeignRecord, Json
from scepsy.convert.instants import decimal

OURS = "scepsy."
"""Attributes of our own export. Their texts are names, even one like "none"."""
ATTRIBUTES = (
    "attributes", "Attributes", "SpanAttributes", "span_attributes", "tags", "tag", "data",
)  # fmt: skip
_COLUMNS = ("attributes.", "span_attributes.")
_BESIDE = (("openinference.span.kind", "span_kind"), ("sentry.op", "op"))
"""Attributes that Phoenix (the kind) and Sentry (the operation) write beside the others."""
_JSON_TEXTS = ("mlflow.", "braintrust.")
"""Attributes whose values are JSON as text: MLflow writes `"\\"LLM\\""` for LLM."""
_SPREAD = ("braintrust.span_attributes",)
"""Attributes whose values are objects, and whose fields get names of their own."""


def attributes_of(record: ForeignRecord) -> ForeignRecord:
    """Attributes by name; empty where the record has none."""
    flat: dict[str, object] = {}
    for name in ATTRIBUTES:
        flat |= dict(_in_field(record, name))
    for key, value in record.fields.items():
        head = next((head for head in _COLUMNS if key.startswith(head)), None)
        if head is not None:
            flat[key.removeprefix(head)] = value
    for key, beside in _BESIDE:
        if record.fields.get(beside):
            flat.setdefault(key, record.fields[beside])
    for key in [key for key in flat if key.startswith(_JSON_TEXTS)]:
        flat |= _parsed(key, flat[key])
    ours = any(key.startswith(OURS) for key in flat)
    return replace(record.with_fields(f"{record.path}.attributes", flat), literal=ours)


def _in_field(record: ForeignRecord, name: str) -> Iterator[tuple[str, object]]:
    value = record.fields.get(name)
    if isinstance(value, list):
        for pair in record.parts(name):
            key = pair.text("key", "Key")
            if key is not None:
                yield key, _value(pair.fields.get("value", pair.fields.get("Value")))
    elif value is not None and (found := record.part(name)).fields:
        if name == "tag":  # Jaeger in Elasticsearch replaces the dots in names
            found = found.with_fields(
                found.where, {key.replace("@", "."): one for key, one in found.fields.items()}
            )
        found = found.with_fields(
            found.where, {key: _untyped(one) for key, one in found.fields.items()}
        )
        yield from found.fields.items()  # names may have dots, or be objects in objects
        yield from found.flat().fields.items()


def _untyped(value: object) -> object:
    """The value of Sentry's {"value": 17, "type": "integer"}; any other value as it is."""
    if not isinstance(value, dict):
        return value
    fields = cast(Json, value)
    typed = {"value", "type"} <= fields.keys() <= {"value", "type", "unit"}
    return fields["value"] if typed else fields


def _parsed(key: str, value: object) -> dict[str, object]:
    """The attribute with its JSON text parsed where that is a text or an object to be spread."""
    with suppress(ValueError, RecursionError):
        found = cast(object, json.loads(value)) if isinstance(value, str) else value
        if isinstance(found, dict) and key in _SPREAD:
            return {f"{key}.{name}": one for name, one in cast(Json, found).items()}
        return {key: found if isinstance(found, str) else value}
    return {}


def _value(value: object) -> object:
    """The value of an OTLP AnyValue; a plain value as it is."""
    if not isinstance(value, dict):
        return value
    fields = {key[:1].lower() + key[1:]: one for key, one in cast(Json, value).items()}
    inner = fields.get("arrayValue", fields.get("array_value"))
    if inner is not None:
        values = cast(Json, inner).get("values") if isinstance(inner, dict) else None
        return (
            [_value(one) for one in cast(list[object], values)] if isinstance(values, list) else []
        )
    number = fields.get("intValue", fields.get("int_value"))
    if number is not None:
        found = decimal(number)
        return number if found is None or found != found.to_integral_value() else int(found)
    if "value" in fields:  # the Go SDK's {"Type", "Value"}
        return fields["value"]
    return next((one for one in fields.values() if one is not None), None)
