"""One record per file: JSON or TOML in, JSON out, never half written."""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from scepsy.errors import BadInput, NotFound

T = TypeVar("T")


def write_atomic(path: Path, content: bytes) -> None:
    """Replaces the file in one step: a reader sees all of the old or all of the new content.

    Makes the directory. Raises BadInput where the path cannot be written.
    """
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
        # Gone already where all went well; the directory itself may be what could not be made.
        with suppress(FileNotFoundError, NotADirectoryError):
            temporary.unlink()


def write_record(path: Path, record: msgspec.Struct) -> None:
    """Writes a record as indented JSON, atomically."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")


def read_record(path: Path, record_type: type[T]) -> T:
    """Reads a record from JSON.

    Raises:
        NotFound: there is no such file.
        BadInput: it is not what we expect; names the file and the field.
    """
    content = read_bytes(path)
    return _named(path, "JSON", lambda: msgspec.json.decode(content, type=record_type))


def read_toml(path: Path, record_type: type[T]) -> T:
    """As `read_record`, from TOML."""
    content = read_bytes(path)
    return _named(
        path, "TOML", lambda: msgspec.convert(tomllib.loads(content.decode()), record_type)
    )


def read_bytes(path: Path) -> bytes:
    """Raises NotFound, or BadInput where the file cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error


def _named(path: Path, kind: str, decode: Callable[[], T]) -> T:
    try:
        return decode()
    except msgspec.ValidationError as error:
        raise BadInput(f"{path}: {error}") from None
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not valid {kind}: {error}") from None
