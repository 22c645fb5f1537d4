"""What an apply changes in an object, in sentences (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import msgspec

from scepsy.deploy.kubernetes.objects.labels import EPOCH, PLAN
from scepsy.deploy.kubernetes.placed import PLACED, RENDERED
from scepsy.deploy.kubernetes.resources import title

Json = dict[str, Any]

_VALUE_MAX = 60
"""Characters of a value that are shown."""

_BOOKKEEPING = (EPOCH, PLAN, PLACED, RENDERED)
"""Labels and annotations by which a deployer knows its objects again: they change with every plan.
"""

_SERVERS_OWN = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")


def differences(before: Json | None, after: Json) -> Iterator[str]:
    """One sentence for a new object, and one for each field that changes of another."""
    name = title(after)
    if before is None:
        yield f"{name} would be created"
        return
    for field, old, new in _fields("", _settled(before), _settled(after)):
        if old is None:
            yield f"{name}: {field} would be set to {_short(new)}"
        elif new is None:
            yield f"{name}: {field} would be removed"
        else:
            yield f"{name}: {field} would change from {_short(old)} to {_short(new)}"


def _settled(obj: Json) -> Json:
    """The object without what the server adds at every write, and without our bookkeeping."""
    meta = {key: value for key, value in obj["metadata"].items() if key not in _SERVERS_OWN}
    kept = {key: value for key, value in obj.items() if key != "status"} | {"metadata": meta}
    return _without_bookkeeping(kept)


def _without_bookkeeping(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_bookkeeping(one) for one in cast(list[Any], value)]
    if not isinstance(value, dict):
        return value
    table = cast(Json, value)
    return {k: _without_bookkeeping(v) for k, v in table.items() if k not in _BOOKKEEPING}


def _fields(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        before, after = cast(Json, old), cast(Json, new)
        for key in sorted({*before, *after}):
            yield from _fields(f"{path}.{key}", before.get(key), after.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        first, second = cast(list[Any], old), cast(list[Any], new)
        if len(first) != len(second):
            yield path, first, second
            return
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            yield from _fields(f"{path}[{index}]", one, other)
    else:
        yield path, old, new


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _VALUE_MAX else text[: _VALUE_MAX - 3] + "..."
