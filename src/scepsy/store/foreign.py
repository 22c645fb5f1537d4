"""Reads files of others record by record: JSON, JSON lines, CSV, each also gzipped."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec

from scepsy.convert import ForeignRecord
from scepsy.convert.part import Json, short
from scepsy.errors import BadInput, NotFound

# What a file cannot be, by its first bytes.
_BINARY = (
    (b"PAR1", "Parquet: export JSON lines or CSV instead, or convert it"),
    (b"PK\x03\x04", "a zip archive: unpack it first"),
    (b"SQLite format 3", "an SQLite database: export its spans as JSON"),
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself (git lfs pull)"),
    (b"\xff\xfe", "UTF-16 text: save it as UTF-8"),
    (b"<", "HTML or XML, not a trace: was it downloaded without being logged in?"),
)
_HEAD = 1 << 16


def read_foreign(path: Path) -> Iterator[ForeignRecord]:
    """The records of a file: the lines of JSON lines, the rows of a CSV, else the whole document
    or, where that is a list, its items.

    Lines and rows are read as they are asked for; a JSON document is held in memory whole.

    Raises:
        NotFound: there is no such file.
        BadInput: it is empty, binary, or not what it seems; names the line.
    """
    try:
        with path.open("rb") as raw:
            if raw.peek(2)[:2] == b"\x1f\x8b":
                content = cast(io.RawIOBase, gzip.GzipFile(fileobj=raw))
                with io.BufferedReader(content) as unzipped:
                    yield from _records(path, unzipped)
            else:
                yield from _records(path, cast("io.BufferedReader[io.RawIOBase]", raw))
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadInput(f"{path}: gzip data is damaged or cut off: {error}") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error


def _records(path: Path, file: io.BufferedReader[io.RawIOBase]) -> Iterator[ForeignRecord]:
    head = file.peek(_HEAD)[:_HEAD].lstrip(b"\xef\xbb\xbf \r\n\t")
    if not head:
        raise BadInput(f"{path}: the file is empty")
    for magic, what in _BINARY:
        if head.startswith(magic):
            raise BadInput(f"{path}: this is {what}")
    if b"\0" in head[:1024]:
        raise BadInput(
            f"{path}: binary, not text: OTLP as protobuf must be exported as JSON, others as "
            "JSON lines or CSV"
        )
    if head[:1] in b"{[":
        yield from _json(path, file)
    else:
        yield from _csv(path, file)


def _json(path: Path, file: io.BufferedReader[io.RawIOBase]) -> Iterator[ForeignRecord]:
    """JSON lines where the first line is a value and another follows; else one document."""
    lines = enumerate(file, start=1)
    number, first = next((n, line) for n, line in lines if line.strip(b"\xef\xbb\xbf \r\n\t"))
    first = first.removeprefix(b"\xef\xbb\xbf")
    second = next(((n, line) for n, line in lines if line.strip()), None)
    if second is not None and _is_json(first):
        for at, line in itertools.chain([(number, first), second], lines):
            if line.strip():
                yield _object(path, f":{at}", _decoded(path, line, f":{at}"))
        return
    rest = b"" if second is None else second[1] + file.read()
    document = _decoded(path, first + rest, "")
    if not isinstance(document, list):
        yield _object(path, ": $", document)
        return
    for index, item in enumerate(cast(list[object], document)):
        yield _object(path, f": $[{index}]", item)


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError:
        return False
    return True


def _decoded(path: Path, content: bytes, where: str) -> object:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}{where}: not valid JSON, or cut off: {error}") from None


def _object(path: Path, where: str, value: object) -> ForeignRecord:
    if not isinstance(value, dict):
        raise BadInput(f"{path}{where}: expected an object, found {short(value)}")
    return ForeignRecord(str(path), where, cast(Json, value))


def _csv(path: Path, file: io.BufferedReader[io.RawIOBase]) -> Iterator[ForeignRecord]:
    csv.field_size_limit(1 << 30)  # prompts stand in some exports
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        rows = csv.reader(text)
        try:
            names = next(rows)
            if len(names) < 2:
                raise BadInput(f"{path}: neither JSON nor CSV; it begins with {short(names[0])}")
            for row in filter(None, rows):
                if len(row) != len(names):
                    raise BadInput(
                        f"{path}:{rows.line_num}: not JSON, and not CSV: {len(row)} columns, but "
                        f"the first line has {len(names)}"
                    )
                yield ForeignRecord(
                    str(path), f":{rows.line_num}", dict(zip(names, row, strict=True))
                )
        except (csv.Error, UnicodeDecodeError) as error:
            raise BadInput(f"{path}:{rows.line_num}: not valid CSV: {error}") from None
