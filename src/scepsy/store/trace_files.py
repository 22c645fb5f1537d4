"""The files of a trace directory, and appending to one of them.

Whoever imports or derives traces writes `calls.jsonl` and `runs.jsonl`. Each gateway process has
files of its own, `calls-TIME-TOKEN.jsonl` and `runs-TIME-TOKEN.jsonl`, so that no two processes
share one. Readers merge them all. A file that has been closed may
be compressed, to `calls-TIME-TOKEN.jsonl.gz`.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal

Kind = Literal["calls", "runs"]

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


class FilePlace(Enum):
    """Where an open file is found: under its path, elsewhere since it was renamed, or nowhere."""

    HERE = "here"
    MOVED = "moved"
    REMOVED = "removed"


def files_of(directory: Path, kind: Kind) -> list[Path]:
    """The trace files of one kind, those of earlier times first. Of a file that is just being
    replaced by a compressed one, only the former is listed.
    """
    imported = directory / f"{kind}.jsonl"
    return [*([imported] if imported.is_file() else []), *_written_by_gateways(directory, kind)]


def gateway_files(directory: Path) -> list[Path]:
    """The files that gateways have written, of both kinds."""
    return [*_written_by_gateways(directory, "calls"), *_written_by_gateways(directory, "runs")]


def _written_by_gateways(directory: Path, kind: Kind) -> list[Path]:
    plain = set(directory.glob(f"{kind}-*.jsonl"))
    packed = (path for path in directory.glob(f"{kind}-*.jsonl.gz"))
    return sorted([*plain, *(path for path in packed if path.with_suffix("") not in plain)])


def holds_traces(directory: Path) -> bool:
    """Whether this is a trace directory."""
    return bool(files_of(directory, "calls"))


def make_directory(directory: Path) -> None:
    """Makes a trace directory that only its owner may read. One that is there stays as it is.
    Raises OSError.
    """
    directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)


@dataclass(slots=True)
class LineFile:
    """A file of one process, locked (flock) as long as it is open.

    Attributes:
        size: bytes in it, all of them whole lines.
        opened: Unix seconds.
    """

    path: Path
    handle: int
    opened: float
    size: int = 0

    @classmethod
    def create(cls, directory: Path, kind: Kind) -> LineFile:
        """A new file, which only its owner may read. Makes the directory. Raises OSError."""
        make_directory(directory)
        now = time.time()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        path = directory / f"{kind}-{stamp}-{secrets.token_hex(4)}.jsonl"
        hidden = path.with_name(f".{path.name}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        handle = os.open(hidden, flags, FILE_MODE)
        try:
            # Some network file systems have no locks. The name is enough to keep others away.
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(path)  # nobody ever sees it without its lock
        except OSError:
            os.close(handle)
            raise
        return cls(path, handle, now)

    def append(self, lines: Sequence[bytes]) -> int:
        """Appends lines, each with its newline. Returns how many were written: fewer than all
        where there is no room for more, but never a part of one. Raises OSError where there is
        room for none.
        """
        content = memoryview(b"".join(lines))
        written = 0
        try:
            while written < len(content):
                written += os.write(self.handle, content[written:])
        except OSError:
            count, whole = _whole(lines, written)
            if written > whole:
                os.ftruncate(self.handle, self.size + whole)
            self.size += whole
            if not count:
                raise
            return count
        self.size += written
        return len(lines)

    def place(self) -> FilePlace:
        """Where the file is. Raises OSError where that cannot be told."""
        mine = os.fstat(self.handle)
        if mine.st_nlink == 0:
            return FilePlace.REMOVED
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return FilePlace.MOVED
        same = (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)
        return FilePlace.HERE if same else FilePlace.MOVED

    def close(self) -> None:
        os.close(self.handle)


def _whole(lines: Sequence[bytes], written: int) -> tuple[int, int]:
    """How many of the lines these bytes hold whole, and the bytes of those."""
    whole = 0
    for count, line in enumerate(lines):
        if whole + len(line) > written:
            return count, whole
        whole += len(line)
    return len(lines), whole
