"""Prints text of others, such as names in traces, without letting it control the terminal."""

from __future__ import annotations

import re

import click

# Control characters but for tab and line feed, marks that change the writing direction, and
# halves of surrogate pairs.
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def escaped(text: str) -> str:
    r"""The text with what would control a terminal written as escapes, such as \x1b."""
    return UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


def escaped_json(text: str) -> str:
    """The same for JSON, as which the text stays what it was."""
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def echo(text: str, *, err: bool = False) -> None:
    """Prints a line, escaped; to standard error if `err`."""
    click.echo(escaped(text), err=err)
