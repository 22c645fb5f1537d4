"""Parts of objects that may be missing (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

Json = dict[str, Any]


def part(obj: Mapping[str, Any] | None, *keys: str) -> Json:
    """The object at the end of `keys`; empty where one of them is missing or null."""
    found: Any = obj or {}
    for key in keys:
        found = found.get(key) or {}
    return cast(Json, found)


def items(obj: Mapping[str, Any] | None, *keys: str) -> list[Json]:
    """The list of objects at the end of `keys`; empty where one of them is missing or null."""
    found: Any = part(obj, *keys[:-1]).get(keys[-1])
    return list(cast(list[Json], found or []))
