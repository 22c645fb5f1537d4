"""Reads the calls that are added to a trace directory while gateways write to it."""

from __future__ import annotations

import gzip
import logging
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from scepsy.core.trace import Call
from scepsy.errors import NotFound
from scepsy.store.trace_files import files_of

_log = logging.getLogger(__name__)


class Follower:
    """Yields each call once, across rotations, also while files are compressed or removed.

    It keeps for each file how many bytes of it, uncompressed, have been read. Calls that are there
    when it is made are not yielded, unless `from_start`. Raises NotFound where there is no
    directory at that time.
    """

    def __init__(self, directory: Path, *, from_start: bool = False) -> None:
        if not directory.is_dir():
            raise NotFound(f"{directory}: no such directory")
        self._directory = directory
        self._read: dict[str, int] = {}
        self._finished: set[str] = set()
        self._decoder = msgspec.json.Decoder(Call)
        if not from_start:
            self.poll()

    def poll(self) -> list[Call]:
        """The calls that were added since the last poll, by their end."""
        calls: list[Call] = []
        files = files_of(self._directory, "calls")
        for path in files:
            with suppress(FileNotFoundError):  # compressed or removed just now
                calls += self._new_calls(path)
        names = {_name(path) for path in files}
        self._finished &= names
        self._read = {name: size for name, size in self._read.items() if name in names}
        return sorted(calls, key=lambda call: call.end)

    def _new_calls(self, path: Path) -> list[Call]:
        name = _name(path)
        if name in self._finished:
            return []
        start, packed = self._read.get(name, 0), path.suffix == ".gz"
        if not packed and path.stat().st_size <= start:
            return []
        lines: list[bytes] = []
        with path.open("rb") as file:
            source = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
            try:
                source.seek(start)
                while (line := source.readline()).endswith(b"\n"):
                    lines.append(line)
                    start += len(line)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                _log.warning("%s: %s", path, error)
        self._read[name] = start
        if packed:
            self._finished.add(name)
        return [call for line in lines if (call := self._call(path, line)) is not None]

    def _call(self, path: Path, line: bytes) -> Call | None:
        try:
            return self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if line.strip():
                _log.warning("%s: a line was left out: %s", path, error)
            return None


def _name(path: Path) -> str:
    """Of the file before and after it was compressed."""
    return path.name.removesuffix(".gz")
