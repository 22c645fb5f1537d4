"""One record per file: JSON or TOML in, JSON out, never half written."""

from __future__ import annotations

import codecs
import gzip
import os
import secrets
import tomllib
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import msgspec

from scepsy.errors import BadInput, NotFound
from scepsy.store.kinds import mistaken
from scepsy.store.located import Source
from scepsy.store.trace_files import holds_traces

T = TypeVar("T")

RECORD_BYTES_MAX = 256 << 20
"""Bytes of the largest file with one record. A plan for 16,384 GPUs has about ten million."""

LINE_BYTES_MAX = 64 << 20
"""Bytes of the longest line of a file that is read line by line. A call with a recorded prompt of a
million tokens has about five million.
"""


def write_atomic(path: Path, content: bytes) -> None:
    """Replaces the file in one step: a reader sees all of the old or all of the new content.

    Makes the directory. Raises BadInput where the path cannot be written.
    """
    if not path.name:
        raise BadInput(f"{path}: cannot be written: this is a directory; name a file")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        # Gone already where all went well. Where it could not even be made, its absence is no
        # second error.
        with suppress(OSError):
            temporary.unlink()


def write_record(path: Path, record: msgspec.Struct) -> None:
    """Writes a record as indented JSON, atomically."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")


def read_record(path: Path, record_type: type[T], kind: str | None = None) -> T:
    """Reads a record from JSON. `kind` is what a person calls the file ("a profile").

    Raises:
        NotFound: there is no such file.
        BadInput: it is not what we expect; names the file and the field, or says which other kind
            of file it is.
    """
    raw = read_bytes(path, kind).removeprefix(codecs.BOM_UTF8)
    try:
        return msgspec.json.decode(raw, type=record_type)
    except msgspec.ValidationError as error:
        source = Source(path)
        message = mistaken(path, raw, kind) or source.validation(error, record_type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = mistaken(path, raw, kind) or f"{path}: not valid JSON: {error}"
    raise BadInput(message)


def read_toml(path: Path, record_type: type[T], kind: str | None = None) -> tuple[T, Source]:
    """As `read_record`, from TOML; with the source, by which further errors can name lines."""
    raw = read_bytes(path, kind).removeprefix(codecs.BOM_UTF8)
    try:
        text = raw.decode()
        source = Source(path, tomllib.loads(text), text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        message = mistaken(path, raw, kind) or f"{path}: not valid TOML: {error}"
        raise BadInput(message) from None
    try:
        return msgspec.convert(source.content, record_type), source
    except msgspec.ValidationError as error:
        message = mistaken(path, raw, kind) or source.validation(error, record_type)
        raise BadInput(message) from None


def read_bytes(path: Path, kind: str | None = None, most: int = RECORD_BYTES_MAX) -> bytes:
    """Raises NotFound, or BadInput where the file cannot be read, or has more than `most` bytes."""
    with opened(path, kind) as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        raise BadInput(
            f"{path}: larger than the {most / 2**20:g} MiB that {kind or 'such a file'} may have; "
            "is it the right file?"
        )
    return raw


def lines_of(path: Path, most: int = LINE_BYTES_MAX) -> Iterator[bytes]:
    """The lines of a file of any size, with the newline at their end, as they are asked for. A file
    whose name ends in .gz is decompressed.

    Raises NotFound, or BadInput where the file cannot be read, or a line has more than `most`
    bytes.
    """
    with opened(path) as file:
        source = file if path.suffix != ".gz" else cast(BinaryIO, gzip.GzipFile(fileobj=file))
        try:
            while line := bounded_line(path, source, most):
                yield line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BadInput(f"{path}: gzip data is damaged or cut off: {error}") from None


def bounded_line(path: Path, file: BinaryIO, most: int) -> bytes:
    """The next line of a file, empty at its end. Raises BadInput where it has more than `most`
    bytes.
    """
    line = file.readline(most + 1)
    if len(line) > most:
        raise BadInput(f"{path}: a line is longer than {most / 2**20:g} MiB; is it the right file?")
    return line


@contextmanager
def opened(path: Path, kind: str | None = None) -> Generator[BinaryIO]:
    """The file for reading. Raises NotFound, or BadInput where it cannot be opened or read."""
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    except IsADirectoryError:
        found = "a trace directory" if holds_traces(path) else "a directory"
        raise BadInput(f"{path}: this is {found}, not {kind or 'a file'}") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
