"""Compresses the closed files of a trace directory, and removes those that need not be kept."""

from __future__ import annotations

import fcntl
import gzip
import logging
import os
import secrets
import threading
import time
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scepsy.core.recording import RecordingOptions
from scepsy.store.trace_files import FILE_MODE, gateway_files

LEVEL = 1
"""Of gzip. `docs/decisions.md` has the measurement."""

_EVERY = 60.0
"""Seconds between two looks at the directory; a file that has just been closed is seen at once."""

_STEP = 1 << 20
"""Bytes that are compressed between two looks at whether to stop."""

_ABANDONED = 3600.0
"""Seconds after which a hidden file is one that a process left when it was killed."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A trace file: when its last record was written (Unix seconds), its bytes, and whether a
    process still writes to it.
    """

    path: Path
    modified: float
    size: int
    is_open: bool


def expired(
    files: Sequence[StoredFile], now: float, keep_age: float | None, keep_bytes: int | None
) -> list[StoredFile]:
    """The files to remove: the oldest first, and never an open one (pure)."""
    gone: list[StoredFile] = []
    total = sum(one.size for one in files)
    for one in sorted(files, key=lambda one: (one.modified, one.path)):
        too_old = keep_age is not None and now - one.modified > keep_age
        too_much = keep_bytes is not None and total > keep_bytes
        if not one.is_open and (too_old or too_much):
            gone.append(one)
            total -= one.size
    return gone


class Upkeep:
    """Looks after a directory from a thread of its own, until it is stopped.

    Several gateways may look after one directory. A file is closed if nobody holds its lock, or if
    this process has closed it (`closed`).
    """

    def __init__(self, directory: Path, options: RecordingOptions) -> None:
        self._directory, self._options = directory, options
        self._closed: set[Path] = set()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="trace-upkeep", daemon=True)
        self._thread.start()

    def closed(self, path: Path) -> None:
        """This process has closed a file."""
        self._closed.add(path)
        self._wake.set()

    def stop(self) -> None:
        """Ends. A file that is being compressed stays as it is."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._tidy()
            except OSError as error:
                _log.warning("%s: %s", self._directory, error)
            self._wake.wait(_EVERY)
            self._wake.clear()

    def _tidy(self) -> None:
        known = frozenset(self._closed)
        if self._options.compress:
            for path in gateway_files(self._directory):
                if path.suffix != ".gz" and not self._stop.is_set():
                    self._compress(path, known)
        keep_age, keep_bytes = self._options.keep_age, self._options.keep_bytes
        if keep_age is not None or keep_bytes is not None:
            found = [
                StoredFile(path, state.st_mtime, state.st_size, _is_open(path, known))
                for path in gateway_files(self._directory)
                if (state := _state(path)) is not None
            ]
            for one in expired(found, time.time(), keep_age, keep_bytes):
                with suppress(FileNotFoundError):
                    one.path.unlink()
                    _log.info("%s: removed, as it need not be kept", one.path)
        self._closed.difference_update(path for path in known if not path.exists())
        for hidden in self._directory.glob(".*.jsonl.*"):
            state = _state(hidden)
            if state is not None and time.time() - state.st_mtime > _ABANDONED:
                hidden.unlink(missing_ok=True)

    def _compress(self, path: Path, known: Collection[Path]) -> None:
        """Puts a compressed file in the place of a closed one. Readers find one of them at any
        time, or both, which are equal.
        """
        target = path.with_name(f"{path.name}.gz")
        hidden = path.with_name(f".{target.name}.{secrets.token_hex(4)}")
        with _closed_file(path, known) as handle:
            if handle is None:
                return
            state = os.fstat(handle)
            if state.st_nlink == 0:  # another gateway was faster
                return
            try:
                if state.st_size and not self._copy(handle, hidden):
                    return
                if state.st_size:
                    os.utime(hidden, ns=(state.st_atime_ns, state.st_mtime_ns))
                    hidden.rename(target)
                path.unlink(missing_ok=True)
            finally:
                hidden.unlink(missing_ok=True)

    def _copy(self, handle: int, hidden: Path) -> bool:
        """Whether the whole file was compressed."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with (
            os.fdopen(os.open(hidden, flags, FILE_MODE), "wb") as raw,
            os.fdopen(os.dup(handle), "rb") as source,
        ):
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=LEVEL) as packed:
                while not self._stop.is_set() and (part := source.read(_STEP)):
                    packed.write(part)
            if self._stop.is_set():
                return False
            raw.flush()
            os.fsync(raw.fileno())  # the other copy is about to be removed
        return True


def _is_open(path: Path, known: Collection[Path]) -> bool:
    if path.suffix == ".gz":
        return False
    with _closed_file(path, known) as handle:
        return handle is None


@contextmanager
def _closed_file(path: Path, known: Collection[Path]) -> Generator[int | None]:
    """The file, locked; None where a process writes to it, or nobody can tell, or it has gone."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield handle if path in known else None
            return
        yield handle
    finally:
        os.close(handle)


def _state(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
