"""Markdown of records and docstrings for the reference pages: tables of fields, prose, code."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Any, Literal, cast, get_args, get_origin

import msgspec


def page(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"


def record(kind: type) -> str:
    """The docstring's prose, and a table of fields: type, default, meaning.

    Raises ValueError, which fails the build, for a field whose meaning the docstring lacks.
    """
    text, meanings = split(inspect.getdoc(kind) or "")
    fields = msgspec.structs.fields(kind)
    if missing := [field.name for field in fields if not meanings.get(field.name)]:
        raise ValueError(f"{kind.__name__} has no meaning for {', '.join(missing)}")
    rows = [
        (
            code(field.name),
            code(_type(field.type)),
            _default(field),
            cell(meanings[field.name]),
        )
        for field in fields
    ]
    return f"{prose(text)}\n\n" + table(("key", "type", "default", "meaning"), rows)


def _type(kind: object) -> str:
    """A type in the words of a file: the values of a Literal, "text", "list of Slice", ..."""
    words = {
        str: "text",
        int: "integer",
        float: "number",
        bool: "true or false",
    }
    if kind in words:
        return words[cast(Any, kind)]
    of = get_args(kind)
    match get_origin(kind):
        case origin if origin is Literal:
            return " or ".join(f'"{value}"' for value in of)
        case origin if origin is tuple:
            inner = [_type(one) for one in of if one is not ...]
            return f"list of {inner[0]}" if ... in of else f"[{', '.join(inner)}]"
        case origin if origin is dict:
            return f"table of {_type(of[1])} by {_type(of[0])}"
        case None:
            return kind.__name__ if isinstance(kind, type) else str(kind)
        case _:  # a union, or an Annotated type with its bounds
            kinds = [one for one in of if not isinstance(one, msgspec.Meta)]
            return " or ".join(_type(one) for one in kinds if one is not type(None))


def _default(field: msgspec.structs.FieldInfo) -> str:
    """As it would stand in a file: "text", 80e9, true, (1, 1)."""
    default = field.default
    if default is msgspec.NODEFAULT:
        return "empty" if field.default_factory is not msgspec.NODEFAULT else "required"
    if default is None:
        return "none"
    if isinstance(default, float):
        return code(f"{default:g}".replace("e+", "e"))
    if isinstance(default, bool | str):
        return code(msgspec.json.encode(default).decode())
    return code(repr(list(default) if isinstance(default, tuple) else default))


def split(doc: str) -> tuple[str, dict[str, str]]:
    """Prose of a docstring, and what its Attributes section says of each name."""
    before, _, after = doc.partition("Attributes:\n")
    section, _, rest = textwrap.dedent(after).partition("\n\n")
    meanings: dict[str, str] = {}
    for entry in re.split(r"\n(?! )", section):
        names, _, meaning = " ".join(entry.split()).partition(": ")
        for name in names.split(", "):
            meanings[name] = meaning
    return f"{before.strip()}\n\n{rest.strip()}".strip(), meanings


def prose(text: str) -> str:
    """A docstring's text. The entries of its sections (`Raises:`) become the items of a list."""
    text = re.sub(r"^(Raises|Args|Returns):\n", r"**\1:**\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"^    (\w[\w, ]*: )", r"- \1", text, flags=re.MULTILINE)
    return text.replace("<", "&lt;")


def code(text: str) -> str:
    """Code in a cell of a table: a bar needs no escape there."""
    return f"`{' '.join(text.split())}`"


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
