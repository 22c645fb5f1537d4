"""Files of one JSON record a line, to append to: a crash tears at most the last line.

Several processes may append to one file: each line is written, and a torn line is cut off, under
an exclusive lock of the file (flock).
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from scepsy.errors import BadInput
from scepsy.store.files import lines_of

_log = logging.getLogger(__name__)
_R = TypeVar("_R", bound=msgspec.Struct)


def read_lines(path: Path, record_type: type[_R], warnings: list[str]) -> Iterator[tuple[int, _R]]:
    """Records with the numbers of their lines, from 1.

    A torn last line, which a crash leaves or a writer has not finished yet, is left out and noted
    in `warnings`. Raises NotFound; BadInput for any other malformed line.
    """
    decoder = msgspec.json.Decoder(record_type)
    for number, line in enumerate(lines_of(path), start=1):
        torn = not line.endswith(b"\n")
        if not line.strip():
            continue
        try:
            record = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if torn:
                warnings.append(f"{path}:{number}: the last line is torn and was left out")
                return
            raise BadInput(f"{path}:{number}: {error}") from None
        yield number, record
        if torn:  # what a writer has added since would not be a whole line
            return


def open_lines(path: Path) -> int:
    """A descriptor that appends after the last whole line. Only the owner may read a new file.
    Raises OSError.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with _locked(handle):
        size = os.fstat(handle).st_size
        whole = _whole_lines(handle, size)
        if whole < size:
            _log.warning("%s: cut off a torn last line of %d bytes", path, size - whole)
            os.ftruncate(handle, whole)
    return handle


def write_line(handle: int, record: msgspec.Struct) -> None:
    """Appends one line, or nothing of it and raises OSError where there is no room."""
    line = encoded_line(record)
    with _locked(handle):
        written = os.write(handle, line)
        if written < len(line):
            os.ftruncate(handle, os.fstat(handle).st_size - written)
            raise OSError(errno.ENOSPC, "no room for another line")


def encoded_line(record: msgspec.Struct) -> bytes:
    """The record as JSON, with the newline. Characters that UTF-8 has no bytes for (half of a
    surrogate pair) are replaced by "?".
    """
    try:
        return msgspec.json.encode(record) + b"\n"
    except UnicodeEncodeError:
        content = json.dumps(msgspec.to_builtins(record), ensure_ascii=False)
        return content.encode("utf-8", "replace") + b"\n"


@contextmanager
def _locked(handle: int) -> Generator[None]:
    """No other process appends meanwhile. Some network file systems have no locks: there, a file
    must have one writer.
    """
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)


def _whole_lines(handle: int, size: int, step: int = 65536) -> int:
    """Bytes up to and including the last newline."""
    end = size
    while end > 0:
        start = max(0, end - step)
        found = os.pread(handle, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
