"""Reading a foreign record: typed looks at its fields, and errors that say where it stands."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from scepsy.errors import BadInput

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ForeignRecord:
    """An object of a foreign file. What it does not have, or has as null or "", is None.

    Attributes:
        file: path, for messages. where: place in the file, like ":12" or ": $[3].attributes".
        fields: what it says. Fields that nobody asks for do not matter.

    All looks take alternative names and answer for the first that is there. They raise BadInput
    where the value is not of the kind that was asked for.
    """

    file: str
    where: str
    fields: Json

    def has(self, *names: str) -> bool:
        """Whether every one of them is there, null or not."""
        return all(name in self.fields for name in names)

    def text(self, *names: str) -> str | None:
        found = self._first(names)
        if found is None:
            return None
        name, value = found
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise self.wrong(name, "text")
        return str(value)

    def number(self, *names: str) -> float | None:
        found = self._first(names)
        if found is None:
            return None
        name, value = found
        try:
            number = math.nan if isinstance(value, bool) else float(cast(str | float, value))
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise self.wrong(name, "a number")
        return number

    def count(self, *names: str) -> int | None:
        """A number of things. 3.0 is one; -1 and 2.5 are none."""
        number = self.number(*names)
        if number is not None and (number < 0 or number != int(number)):
            raise self.wrong(next(name for name in names if name in self.fields), "a count")
        return None if number is None else int(number)

    def moment(self, *names: str) -> float | None:
        """Unix seconds, of an ISO 8601 time (UTC where it names no zone) or of milliseconds."""
        found = self._first(names)
        if found is None:
            return None
        name, value = found
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value / 1000
        try:
            told = datetime.fromisoformat(cast(str, value))
        except (TypeError, ValueError):
            raise self.wrong(name, "a time (ISO 8601, or milliseconds since 1970)") from None
        return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()

    def part(self, name: str) -> ForeignRecord:
        """The object in a field, in a table the JSON text of one; an empty one where there is
        none.
        """
        value = self.fields.get(name)
        if value is None or value == "":
            return ForeignRecord(self.file, f"{self.path}.{name}", {})
        if isinstance(value, str):
            with suppress(ValueError):
                value = cast(object, json.loads(value))
        if not isinstance(value, dict):
            raise self.wrong(name, "an object")
        return ForeignRecord(self.file, f"{self.path}.{name}", cast(Json, value))

    def parts(self, *names: str) -> Iterator[ForeignRecord]:
        """The objects in a list; none where there is no list."""
        found = self._first(names)
        if found is None:
            return
        name, value = found
        if not isinstance(value, list):
            raise self.wrong(name, "a list")
        for index, one in enumerate(cast(list[object], value)):
            where = f"{self.path}.{name}[{index}]"
            if not isinstance(one, dict):
                raise BadInput(f"{self.file}{where}: expected an object, found {short(one)}")
            yield ForeignRecord(self.file, where, cast(Json, one))

    def flat(self) -> ForeignRecord:
        """The same with the objects inside it spread: {"a": {"b": 1}} becomes {"a.b": 1}."""
        return ForeignRecord(self.file, self.where, dict(_flat(self.fields, "")))

    @property
    def path(self) -> str:
        """`where`, ready to be followed by ".field"."""
        return self.where if "$" in self.where else f"{self.where}: $"

    def missing(self, *names: str) -> BadInput:
        """The error to raise where none of `names` is there."""
        seen = ", ".join(list(self.fields)[:8]) or "nothing"
        wanted = " or ".join(names)
        return BadInput(f"{self.file}{self.path}: {wanted} is missing; there is {seen}")

    def wrong(self, name: str, expected: str) -> BadInput:
        """The error to raise for a field that is there and not what it should be."""
        value = short(self.fields.get(name))
        return BadInput(f"{self.file}{self.path}.{name}: expected {expected}, found {value}")

    def _first(self, names: tuple[str, ...]) -> tuple[str, object] | None:
        for name in names:
            value = self.fields.get(name)
            if value is not None and value != "":
                return name, value
        return None


def known(*counts: int | None) -> int | None:
    """The first that is known."""
    return next((count for count in counts if count is not None), None)


def short(value: object, most: int = 40) -> str:
    """A value as it may stand in a message."""
    shown = repr(value)
    return shown if len(shown) <= most else f"{shown[:most]}..."


def _flat(fields: Json, prefix: str) -> Iterator[tuple[str, object]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(cast(Json, value), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
