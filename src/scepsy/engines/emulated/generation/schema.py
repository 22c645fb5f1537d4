"""Draws a random valid instance of a JSON Schema (pure)."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import cast

_TYPES = {"boolean", "integer", "number", "string", "array", "object", "null"}
_DEPTH_MAX = 16
"""Levels of nesting. Deeper schemas are taken for recursive ones that never end."""

Schema = Mapping[str, object]


class BadSchema(ValueError):
    """A schema of which no instance can be drawn. The message names the part at fault."""


def check_schema(schema: object) -> Schema:
    """Returns the schema if an instance of it can be drawn. Raises BadSchema."""
    draw(schema, random.Random(0))
    return cast(Schema, schema)


def draw(schema: object, rng: random.Random) -> object:
    """An instance of `schema`. It follows enum, const, anyOf, oneOf, $ref, and the seven types with
    their bounds. Raises BadSchema for a malformed schema.
    """
    return _draw(schema, rng, schema, 0)


def _draw(part: object, rng: random.Random, root: object, depth: int) -> object:
    schema = _checked(part, depth)
    if "const" in schema:
        return schema["const"]
    for key in ("enum", "anyOf", "oneOf"):
        if key in schema:
            chosen = rng.choice(_filled_list(schema, key))
            return chosen if key == "enum" else _draw(chosen, rng, root, depth + 1)
    if "$ref" in schema:
        return _draw(_resolve(str(schema["$ref"]), root), rng, root, depth + 1)
    kind = _type(schema, rng)
    if kind == "array":
        least = _count(schema, "minItems", 1)
        items = rng.randint(least, max(least, _count(schema, "maxItems", max(3, least))))
        return [_draw(schema.get("items", {}), rng, root, depth + 1) for _ in range(items)]
    if kind == "object":
        properties = schema.get("properties", {})
        if not isinstance(properties, Mapping):
            raise BadSchema(f"properties must be an object, not {properties!r}")
        named = cast(Mapping[str, object], properties)
        return {name: _draw(part, rng, root, depth + 1) for name, part in named.items()}
    return _scalar(kind, schema, rng)


def _scalar(kind: object, schema: Schema, rng: random.Random) -> object:
    match kind:
        case "boolean":
            return rng.random() < 0.5
        case "integer":
            low, high = _bounds(schema)
            return rng.randint(math.ceil(low), max(math.ceil(low), math.floor(high)))
        case "number":
            return round(rng.uniform(*_bounds(schema)), 4)
        case "null":
            return None
        case _:
            return _string(schema, rng)


def _checked(part: object, depth: int) -> Schema:
    if part is True:
        return {}
    if not isinstance(part, Mapping):
        raise BadSchema(f"a JSON schema must be an object, not {part!r}")
    if depth > _DEPTH_MAX:
        raise BadSchema(f"the JSON schema is nested more than {_DEPTH_MAX} deep")
    return cast(Schema, part)


def _type(schema: Schema, rng: random.Random) -> object:
    """The type, guessed from the other keywords where none is given."""
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, Sequence) and not isinstance(kind, str):
        kind = rng.choice(cast(Sequence[object], kind))
    if kind not in _TYPES:
        raise BadSchema(f"unknown type {kind!r} in the JSON schema")
    return kind


def _string(schema: Schema, rng: random.Random) -> str:
    least, most = _count(schema, "minLength", 0), _count(schema, "maxLength", 1 << 20)
    letters = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=max(least, 8)))
    return letters[: max(least, min(most, 8))]


def _bounds(schema: Schema) -> tuple[float, float]:
    whole = schema.get("type") == "integer"
    low = _number(schema, "minimum", None)
    if low is None:
        low = _number(schema, "exclusiveMinimum", None)
        low = None if low is None else low + (1 if whole else 1e-3)
    high = _number(schema, "maximum", None)
    if high is None:
        high = _number(schema, "exclusiveMaximum", None)
        high = None if high is None else high - (1 if whole else 1e-3)
    if low is None:
        low = 0.0 if high is None else min(0.0, high - 10)
    if high is None:
        high = low + 10
    if low > high:
        raise BadSchema(f"minimum {low:g} is above maximum {high:g} in the JSON schema")
    return low, high


def _number(schema: Schema, key: str, default: float | None) -> float | None:
    value = schema.get(key, default)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise BadSchema(f"{key} must be a number, not {value!r}")
    return value


def _count(schema: Schema, key: str, default: int) -> int:
    value = schema.get(key, default)
    if not isinstance(value, int) or value < 0:
        raise BadSchema(f"{key} must be a non-negative integer, not {value!r}")
    return value


def _filled_list(schema: Schema, key: str) -> list[object]:
    value = schema[key]
    if not isinstance(value, list) or not value:
        raise BadSchema(f"{key} must be a non-empty list, not {value!r}")
    return cast(list[object], value)


def _resolve(reference: str, root: object) -> object:
    node = root
    for part in reference.removeprefix("#/").split("/"):
        if not isinstance(node, Mapping) or part not in node:
            raise BadSchema(f"{reference} is not in the JSON schema")
        node = cast(Mapping[str, object], node)[part]
    return node
