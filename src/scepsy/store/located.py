"""Locates errors in files: line, name of the table, and the field that was probably meant."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import inspect

from scepsy.errors import did_you_mean

NOUNS = {"llms": "LLM", "nodes": "node"}
"""What a person calls an entry of each list in the files that are written by hand."""

_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.+)`")
_BAD_WORD = re.compile(r"Invalid enum value '(.+)'")
_STEP = re.compile(r"(\w+)|\[(\d+|\.\.\.)\]")


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is being checked: its decoded `content`, and its `text` where that is TOML, whose
    lines can be named.
    """

    path: Path
    content: Mapping[str, Any] = field(default_factory=dict[str, Any])
    text: str | None = None

    def problem(self, where: str, message: str) -> str:
        """The whole sentence: file, line, the entry's name, field, `message`."""
        steps = _STEP.findall(where)
        entry = _entry(self.content, steps)
        line = None if self.text is None else _line(self.text, steps, steps[-1][0] if steps else "")
        file = f"{self.path}:{line}" if line else str(self.path)
        rest = where if entry is None else where.partition("]")[2].lstrip(".")
        return ": ".join(part for part in (file, entry, rest, message) if part)

    def validation(self, error: msgspec.ValidationError, record_type: Any) -> str:
        """What msgspec refused, with the field or value that was probably meant."""
        found = _AT.match(str(error))
        what, path = (found["what"], found["path"] or "") if found else (str(error), "")
        known = _known(record_type, _STEP.findall(path))
        if (unknown := _UNKNOWN.search(what)) is not None:
            where = f"{path}.{unknown[1]}".lstrip(".")
            return self.problem(where, f"there is no such field{_meant(unknown[1], known)}")
        if (word := _BAD_WORD.search(what)) is not None:
            return self.problem(path, f"{word[1]!r} is not known{_meant(word[1], known)}")
        return self.problem(path, what)


def _meant(word: str, known: Sequence[str]) -> str:
    """The nearest known word, else all of them."""
    every = f"; known are: {', '.join(known)}" if known else ""
    return did_you_mean(word, known) or every


def _entry(content: Mapping[str, Any], steps: Sequence[tuple[str, str]]) -> str | None:
    """ "LLM 'generator'" for a path into the list of LLMs."""
    if len(steps) < 2 or steps[0][0] not in NOUNS or not steps[1][1].isdigit():
        return None
    noun, index = NOUNS[steps[0][0]], int(steps[1][1])
    entries = content.get(steps[0][0])
    listed = cast(list[Any], entries) if isinstance(entries, list) else []
    entry = listed[index] if index < len(listed) else None
    name = cast(Mapping[str, Any], entry).get("name") if isinstance(entry, Mapping) else None
    return f"{noun} {name!r}" if isinstance(name, str) else f"{noun} number {index + 1}"


def _line(text: str, steps: Sequence[tuple[str, str]], key: str) -> int | None:
    """The line of `key` in the table that `steps` lead to, else that of the table's head."""
    table = steps[0][0] if len(steps) > 1 and steps[1][1] else ""
    wanted = int(steps[1][1]) if table and steps[1][1].isdigit() else 0
    head, seen, inside = None, -1, not table
    for number, line in enumerate(text.splitlines(), start=1):
        if (opened := re.match(r"\s*\[+\s*([\w.-]+)\s*\]", line)) is not None:
            seen += opened[1] == table
            inside = opened[1] == table and seen == wanted
            head = number if inside else head
        elif inside and key and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return head


def _known(record_type: Any, steps: Sequence[tuple[str, str]]) -> list[str]:
    """The fields, or the allowed words, of what stands at a path into a record type."""
    here: inspect.Type | None = inspect.type_info(record_type)
    for name, _ in steps:
        here = _step(here, name)
    match _plain(here):
        case inspect.StructType() as struct:
            return [field.encode_name for field in struct.fields]
        case inspect.LiteralType() as literal:
            return [str(value) for value in literal.values]
        case _:
            return []


def _step(here: inspect.Type | None, name: str) -> inspect.Type | None:
    match _plain(here):
        case inspect.StructType() as struct if name:
            return next((f.type for f in struct.fields if f.encode_name == name), None)
        case inspect.DictType() as mapping:
            return mapping.value_type
        case inspect.VarTupleType() | inspect.ListType() as many if not name:
            return many.item_type
        case _:
            return None


def _plain(here: inspect.Type | None) -> inspect.Type | None:
    """Without None in a union, and without what is only said about a type."""
    while isinstance(here, inspect.Metadata):
        here = here.type
    if isinstance(here, inspect.UnionType):
        others = [one for one in here.types if not isinstance(one, inspect.NoneType)]
        return _plain(others[0]) if others else None
    return here
