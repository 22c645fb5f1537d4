"""Reads the inputs of runs from a file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from scepsy.errors import BadInput
from scepsy.store.files import lines_of


def read_inputs(path: Path) -> list[object]:
    """One input per line that is not blank: its text, or in a `.jsonl` file the JSON value.

    Raises NotFound, and BadInput for a malformed line (with its number) or a file without inputs.
    """
    if path.suffix != ".jsonl":
        inputs: list[object] = [*read_lines(path)]
    else:
        inputs = [_decode(path, number, line) for number, line in _numbered(path)]
    if not inputs:
        raise BadInput(f"{path} has no inputs: write one per line")
    return inputs


def read_lines(path: Path) -> list[str]:
    """The lines that are not blank, without the white space around them. Raises what `read_inputs`
    raises.
    """
    return [line for _, line in _numbered(path)]


def _numbered(path: Path) -> list[tuple[int, str]]:
    try:
        texts = [line.decode().strip() for line in lines_of(path)]
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} cannot be read: {error}") from None
    return [(number, text) for number, text in enumerate(texts, start=1) if text]


def _decode(path: Path, number: int, line: str) -> object:
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        raise BadInput(f"{path}:{number}: {error}") from None
