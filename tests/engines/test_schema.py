"""Instances of JSON Schemas are legal, vary, and bad schemas are said to be."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scepsy.engines.emulated.generation.schema import BadSchema, check_schema, draw

seeds = st.integers(0, 2**32)


@given(seeds, st.integers(-50, 50), st.integers(0, 40))
def test_numbers_keep_their_bounds(seed: int, low: int, span: int) -> None:
    rng = random.Random(seed)
    bounds = {"minimum": low, "maximum": low + span}
    whole = draw({"type": "integer", **bounds}, rng)
    assert isinstance(whole, int)
    assert low <= whole <= low + span
    real = draw({"type": "number", **bounds}, rng)
    assert isinstance(real, float)
    assert low <= real <= low + span


@given(seeds, st.integers(0, 20), st.integers(0, 20))
def test_strings_and_arrays_keep_their_lengths(seed: int, least: int, more: int) -> None:
    rng = random.Random(seed)
    text = draw({"type": "string", "minLength": least, "maxLength": least + more}, rng)
    assert isinstance(text, str)
    assert least <= len(text) <= least + more
    items = {"type": "array", "minItems": least, "maxItems": least + more, "items": {"const": 7}}
    drawn = draw(items, rng)
    assert isinstance(drawn, list)
    assert least <= len(drawn) <= least + more


def test_both_ways_are_taken() -> None:
    schema = {"properties": {"ok": {"type": "boolean"}, "next": {"enum": ["go", "stop"]}}}
    seen = {str(draw(schema, random.Random(seed))) for seed in range(50)}
    assert len(seen) == 4


def test_references_unions_and_nulls() -> None:
    schema = {
        "$defs": {"leaf": {"const": "leaf"}},
        "type": "object",
        "properties": {
            "a": {"$ref": "#/$defs/leaf"},
            "b": {"anyOf": [{"type": "null"}]},
            "c": {"type": ["integer"], "exclusiveMinimum": 1, "exclusiveMaximum": 3},
        },
    }
    assert draw(schema, random.Random(0)) == {"a": "leaf", "b": None, "c": 2}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("nothing", "must be an object"),
        ({"type": "nonsense"}, "unknown type 'nonsense'"),
        ({"enum": []}, "enum must be a non-empty list"),
        ({"type": "integer", "minimum": 3, "maximum": 1}, "minimum 3 is above maximum 1"),
        ({"type": "integer", "minimum": "low"}, "minimum must be a number"),
        ({"properties": []}, "properties must be an object"),
        ({"$ref": "#/nowhere"}, "#/nowhere is not in the JSON schema"),
        ({"properties": {"self": {"$ref": "#"}}}, "not in the JSON schema|nested"),
    ],
)
def test_bad_schemas(schema: object, message: str) -> None:
    with pytest.raises(BadSchema, match=message):
        check_schema(schema)
