"""Reads files of others record by record: JSON, JSON lines, CSV, console output, each also gzipped.

One record that cannot be read is left out and noted; the others are read.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from scepsy.convert import Findings, ForeignRecord, unwrapped
from scepsy.convert.foreign_record import Json, short
from scepsy.errors import BadInput, NotFound
from scepsy.store.json_texts import after_prefix, json_values, whole
from scepsy.store.trace_files import holds_traces

# What a file cannot be, by its first bytes.
_BINARY = (
    (b"PAR1", "Parquet: export JSON lines or CSV instead, or convert it"),
    (b"PK\x03\x04", "a zip archive: unpack it first"),
    (b"SQLite format 3", "an SQLite database: export its spans as JSON"),
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself (git lfs pull)"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd: decompress it first (zstd -d)"),
    (b"BZh", "compressed by bzip2: decompress it first (bunzip2)"),
    (b"\xfd7zXZ", "compressed by xz: decompress it first (unxz)"),
    (b"<", "HTML or XML, not a trace: was it downloaded without being logged in?"),
)
_HEAD = 1 << 16
"""Bytes that are looked at to tell what a file is."""
_FIELD_MAX = 1 << 30
"""Characters in a field of a CSV: prompts stand in some exports."""
_LISTS_MAX = 3
"""Lists inside lists that are looked into for records."""
_GZIP = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""How a file in UTF-16 begins; PowerShell's `>` writes such files."""


def read_foreign(path: Path, findings: Findings | None = None) -> Iterator[ForeignRecord]:
    """The records of a file: the lines of JSON lines, the rows of a CSV, else the whole document
    or, where that is a list, its items; out of the envelopes that they may be in.

    Lines and rows are read as they are asked for; a JSON document is held in memory whole.

    Args:
        findings: takes what could not be read, with its line.

    Raises:
        NotFound: there is no such file.
        BadInput: it is empty, binary, or not what it seems.
    """
    findings = Findings() if findings is None else findings
    try:
        with path.open("rb") as raw:
            found = _as_utf8(path, cast("io.BufferedReader[io.RawIOBase]", raw))
            yield from _records(path, found, findings)
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    except IsADirectoryError:
        ours = "a trace directory already; use it as it is"
        is_ours = holds_traces(path)
        raise BadInput(
            f"{path}: this is {ours if is_ours else 'a directory; name the files in it'}"
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadInput(f"{path}: gzip data is damaged or cut off: {error}") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error


def _as_utf8(path: Path, raw: io.BufferedReader[io.RawIOBase]) -> io.BufferedReader[io.RawIOBase]:
    """The same file without gzip, which may have been applied twice, and in UTF-8."""
    while raw.peek(2)[:2] == _GZIP:
        raw = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw, mode="rb")))
    if raw.peek(2)[:2] in _UTF16:
        content = whole(path, raw).decode("utf-16", "replace").encode()
        raw = io.BufferedReader(cast(io.RawIOBase, io.BytesIO(content)))
    return raw


def _records(
    path: Path, file: io.BufferedReader[io.RawIOBase], findings: Findings
) -> Iterator[ForeignRecord]:
    head = file.peek(_HEAD)[:_HEAD].lstrip(b"\xef\xbb\xbf \r\n\t\x1e")
    if not head:
        raise BadInput(f"{path}: the file is empty")
    for magic, what in _BINARY:
        if head.startswith(magic):
            raise BadInput(f"{path}: this is {what}")
    holds_json = _holds_json(head)
    if b"\0" in head[:1024] and not holds_json:
        raise BadInput(
            f"{path}: binary, not text: OTLP as protobuf must be exported as JSON, others as "
            "JSON lines or CSV"
        )
    found = _json(path, file, findings) if holds_json else _csv(path, file, findings)
    for record in found:
        yield from unwrapped(record)


def _holds_json(head: bytes) -> bool:
    """Whether the file begins with JSON, or is the output of a program that writes JSON between or
    behind other text.
    """
    first, *others = head.splitlines()
    if first[:1] in b'{["':
        return first[:1] != b'"' or first[:3].replace(b"\\", b"").startswith((b'"{', b'"['))
    if after_prefix(first) is not None:
        return True
    table = b"," in first and b"{" not in first
    return not table and any(line[:1] in (b"{", b"[") for line in others)


def _json(
    path: Path, file: io.BufferedReader[io.RawIOBase], findings: Findings
) -> Iterator[ForeignRecord]:
    for place, value in json_values(path, file, findings):
        yield from _objects(path, place or ": $", value, findings)


def _objects(path: Path, where: str, value: object, findings: Findings) -> Iterator[ForeignRecord]:
    """The object, or those in a list; some programs write a list of spans for each trace."""
    if isinstance(value, dict):
        yield ForeignRecord(str(path), where, cast(Json, value), findings)
    elif isinstance(value, list) and where.count("[") < _LISTS_MAX:
        root = where if "$" in where else f"{where}: $"
        for index, item in enumerate(cast(list[object], value)):
            yield from _objects(path, f"{root}[{index}]", item, findings)
    else:
        found = short(cast(object, value))
        findings.leave_out(f"expected an object, found {found}", f"{path}{where}")


def _csv(
    path: Path, file: io.BufferedReader[io.RawIOBase], findings: Findings
) -> Iterator[ForeignRecord]:
    csv.field_size_limit(_FIELD_MAX)
    with io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="") as text:
        rows = csv.reader(_text_lines(path, text))
        try:
            names = next((row for row in rows if row), [""])
            if len(names) < 2:
                raise BadInput(
                    f"{path}: neither JSON records nor CSV with several columns; it begins with "
                    f"{short(names[0])}"
                )
            for row in filter(None, rows):
                if len(row) != len(names):
                    reason = f"{len(row)} columns, but the first line has {len(names)}"
                    findings.leave_out(
                        f"not JSON, and not CSV: {reason}", f"{path}:{rows.line_num}"
                    )
                    continue
                fields = dict(zip(names, row, strict=True))
                yield ForeignRecord(str(path), f":{rows.line_num}", fields, findings)
        except csv.Error as error:
            raise BadInput(f"{path}:{rows.line_num}: not valid CSV: {error}") from None


def _text_lines(path: Path, text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(_FIELD_MAX + 1):
        if len(line) > _FIELD_MAX:
            raise BadInput(f"{path}: a line is longer than a row may be; is it the right file?")
        yield line
