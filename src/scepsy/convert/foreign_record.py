"""Typed access to the fields of a foreign record; unusable values are noted."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TypeVar, cast
from warnings import catch_warnings, simplefilter

from scepsy.convert.findings import Findings
from scepsy.convert.instants import decimal, instant, nanoseconds, presumed_nanoseconds

Json = Mapping[str, object]
T = TypeVar("T")

TOKENS_MAX = 10**9
"""No LLM call has more tokens than this; a larger count is garbage."""
NOTHING = frozenset(("", "none", "null", "nil", "nan", "n/a", "undefined", "<na>"))
"""Texts by which programs write that there is no value."""


class UnusableRecordError(Exception):
    """A record lacks a field that it cannot be used without. `each` catches this."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ForeignRecord:
    """An object of a foreign file.

    The methods take alternative names of a field and return the first usable value. A field that is
    missing or empty gives None; one of another type gives None, too, and is noted in `findings`: an
    odd field never makes the rest of its record unusable.

    Attributes:
        file: path, for messages. where: position in the file: ":12" or ": $[3].attributes".
        fields: name and value. Unknown fields are ignored.
        literal: whether this is our own export: "none" and the like are names there, and times are
            in their stated unit. Elsewhere such texts stand for no value.
    """

    file: str
    where: str
    fields: Json
    findings: Findings = field(default_factory=Findings, compare=False, repr=False)
    literal: bool = False

    def has(self, *names: str) -> bool:
        """Whether every one of them is there, null or not."""
        return all(name in self.fields for name in names)

    def text(self, *names: str) -> str | None:
        return self._first(names, _literal if self.literal else _text, "text")

    def number(self, *names: str) -> float | None:
        return self._first(names, _number, "a number")

    def count(self, *names: str) -> int | None:
        """A number of things; a positive one is preferred to a zero. 3.0 and "3" are counts."""
        zero: int | None = None
        for name in names:
            found = self._first((name,), _count, "a count")
            if found:
                return found
            zero = found if found is not None else zero
        return zero

    def moment(self, *names: str) -> float | None:
        """Unix seconds of a time in any of the notations of `instants`."""
        return self._first(names, instant, "a time")

    def nanoseconds(self, *names: str) -> float | None:
        """Unix seconds of a number of nanoseconds; zero is no time."""
        read = nanoseconds if self.literal else presumed_nanoseconds
        return self._first(names, read, "nanoseconds since 1970")

    def milliseconds(self, *names: str) -> float | None:
        """Seconds of a number of milliseconds."""
        found = self.number(*names)
        return None if found is None else found / 1000

    def true(self, *names: str) -> bool:
        return any(self.fields.get(name) in (True, "true", "True", 1) for name in names)

    def part(self, *names: str) -> ForeignRecord:
        """The object in the first of these fields that has one, or the JSON text of one; an empty
        one where there is none.
        """
        found = self._first(names, _object, "an object")
        name = next((name for name in names if name in self.fields), names[0])
        return self._inner(f"{self.path}.{name}", {} if found is None else found)

    def parts(self, *names: str) -> Iterator[ForeignRecord]:
        """The objects in the list in the first of these fields that has one."""
        found = self._first(names, _list, "a list")
        name = next((name for name in names if name in self.fields), names[0])
        for index, one in enumerate(found or ()):
            where = f"{self.path}.{name}[{index}]"
            fields = _object(one)
            if fields is None:
                self.findings.leave_out(
                    f"expected an object, found {short(one)}", self.file + where
                )
            else:
                yield self._inner(where, fields)

    def named_parts(self) -> Iterator[tuple[str, ForeignRecord]]:
        """The fields whose values are objects, with their names."""
        for name, value in self.fields.items():
            fields = _object(value)
            if fields is not None:
                yield name, self._inner(f"{self.path}.{name}", fields)

    def flat(self) -> ForeignRecord:
        """The same with the objects inside it spread: {"a": {"b": 1}} becomes {"a.b": 1}."""
        return self._inner(self.where, dict(_flat(self.fields, "", 0)))

    def with_fields(self, where: str, fields: Json) -> ForeignRecord:
        """Another record of the same file, at `where`."""
        return self._inner(where, fields)

    @property
    def path(self) -> str:
        """`where`, ready to be followed by ".field"."""
        return self.where if "$" in self.where else f"{self.where}: $"

    @property
    def place(self) -> str:
        return f"{self.file}{self.where}"

    @property
    def names(self) -> str:
        """The names of the first fields, for messages; "no field" where there is none."""
        return ", ".join(list(self.fields)[:8]) or "no field"

    def missing(self, *names: str) -> UnusableRecordError:
        """The error to raise where none of `names` has a usable value."""
        wanted = " or ".join(names)
        odd = next((name for name in names if self.fields.get(name) not in (None, "")), None)
        shown = (
            f"the record has {self.names}" if odd is None else f"{odd} is {short(self.fields[odd])}"
        )
        return UnusableRecordError(self.place, f"{wanted} is missing; {shown}")

    def _first(
        self, names: tuple[str, ...], read: Callable[[object], T | None], expected: str
    ) -> T | None:
        for name in names:
            value = self.fields.get(name)
            if value is None or value == "":
                continue
            found = read(value)
            if found is not None:
                return found
            if read is not _text or str(value).lower() not in NOTHING:
                reason = f"{name} is not {expected}, and was taken as unknown"
                self.findings.doubt(reason, f"{self.place} has {short(value)}")
        return None

    def _inner(self, where: str, fields: Json) -> ForeignRecord:
        return replace(self, where=where, fields=fields)


def each(
    records: Iterable[ForeignRecord], read: Callable[[ForeignRecord], Iterable[T]]
) -> Iterator[T]:
    """What `read` makes of every record; one that is unusable is left out and noted."""
    for record in records:
        try:
            yield from read(record)
        except UnusableRecordError as error:
            record.findings.leave_out(error.reason, error.place)


def known(*counts: int | None) -> int | None:
    """The first count above zero, else the first that is not None."""
    given = [count for count in counts if count is not None]
    return next((count for count in given if count), given[0] if given else None)


def short(value: object, most: int = 40) -> str:
    """A value as it may stand in a message."""
    shown = repr(value)
    return shown if len(shown) <= most else f"{shown[:most]}..."


def _literal(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).encode("utf-8", "replace").decode()  # lone surrogates cannot be kept


def _text(value: object) -> str | None:
    text = _literal(value)
    return None if text is None or text.lower() in NOTHING else text


def _number(value: object) -> float | None:
    found = decimal(value)
    return None if found is None else float(found)


def _count(value: object) -> int | None:
    found = decimal(value)
    if found is None or found < 0 or found > TOKENS_MAX or found != found.to_integral_value():
        return None
    return int(found)


def _object(value: object) -> Json | None:
    value = _parsed(value)
    return cast(Json, value) if isinstance(value, dict) else None


def _list(value: object) -> list[object] | None:
    value = _parsed(value)
    return cast(list[object], value) if isinstance(value, list) else None


def _parsed(value: object) -> object:
    """A value, parsed if it is the text of an object or list: JSON, or the notation of Python's
    `repr`, in which pandas and ClickHouse write objects into the cells of a CSV.
    """
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    with suppress(ValueError, RecursionError):
        return cast(object, json.loads(value))
    if _nesting(value) <= _DEPTH_MAX:
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError), catch_warnings():
            simplefilter("ignore", SyntaxWarning)  # of backslashes
            return cast(object, ast.literal_eval(value.strip()))
    return value


def _nesting(text: str) -> int:
    """Brackets that are open at once, at most. Python's parser is not safe against many."""
    steps = (1 if found in "{[(" else -1 for found in re.findall(r"[{}()\[\]]", text))
    return max(accumulate(steps), default=0)


_DEPTH_MAX = 20
"""Levels that are spread; attributes of spans have two or three."""


def _flat(fields: Json, prefix: str, depth: int) -> Iterator[tuple[str, object]]:
    for name, value in fields.items():
        if isinstance(value, dict) and value and depth < _DEPTH_MAX:
            yield from _flat(cast(Json, value), f"{prefix}{name}.", depth + 1)
        else:
            yield f"{prefix}{name}", value
