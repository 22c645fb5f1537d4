"""Records the calls of a running gateway from a thread, so that no call waits for a disk."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import msgspec

from scepsy.core.recording import RecordingOptions
from scepsy.core.trace import Call, RunMark
from scepsy.errors import BadInput
from scepsy.store.lines import encoded_line
from scepsy.store.trace_files import FilePlace, Kind, LineFile
from scepsy.store.trace_upkeep import Upkeep
from scepsy.traces.sampling import is_sampled

GATHERING = 0.02
"""Seconds in which a batch gathers. A process that is killed loses the calls of so long."""

RETRY_AFTER = 0.5
"""Seconds after which records that could not be written are tried again."""

WAITING_BYTES_MAX = 64 << 20
"""Bytes of records that wait to be written, about. Where no more can be written, further records
are lost, and counted.
"""

BATCH_BYTES_MAX = 1 << 20
"""Bytes of a write, about."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_CALL_BYTES = 1024
"""A call without content and the bytes of its objects, about."""

_PLACES_MAX = 3
"""New files that are begun for a batch where others keep removing them."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TraceCounts:
    """Records of calls since the start: those written, those that wait for their turn or for room
    on the disk, and those lost.
    """

    written: int = 0
    waiting: int = 0
    lost: int = 0


@dataclass(slots=True)
class _Marked:
    mark: RunMark
    done: Future[None]


@dataclass(slots=True)
class _Waiting:
    """What waits to be written. Bytes are estimates: a record is encoded by the thread."""

    calls: deque[Call] = field(default_factory=deque[Call])
    marks: deque[_Marked] = field(default_factory=deque[_Marked])
    lines: deque[bytes] = field(default_factory=deque[bytes])
    size: int = 0


class TraceLog:
    """Appends to files of its own in a trace directory, in the order of the calls.

    A write is one batch of whole lines: a process that is killed leaves at most one torn line, the
    last. Where the disk is full, records wait for room, within limits, and are then lost and
    counted. Where the directory has been removed, it is made again. Threads may share a log. Close
    it, or use it as a context manager.

    `prepare` may change each call before it is written. It is called by the thread, and must not
    raise. Raises BadInput where the directory cannot be written at the start.
    """

    def __init__(
        self,
        directory: Path,
        options: RecordingOptions | None = None,
        prepare: Callable[[Call], Call] | None = None,
    ) -> None:
        self._directory = directory
        self.options = options or RecordingOptions()
        self._prepare = prepare
        self._files: dict[Kind, LineFile] = {}
        try:
            self._files["calls"] = LineFile.create(directory, "calls")
        except OSError as error:
            raise BadInput(f"{directory}: cannot be written: {error.strerror}") from error
        self._lock = threading.Lock()
        self._waiting = _Waiting()
        self._written = self._lost = 0
        self._failing = False
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._upkeep = Upkeep(directory, self.options)
        self._thread.start()

    def wants(self, run: str) -> bool:
        """Whether the run is recorded: all are, unless `options.sample` is below one."""
        return is_sampled(run, self.options.sample)

    def append(self, call: Call) -> None:
        """Records a call soon. Where too many wait already, it is lost."""
        size = _size(call)
        with self._lock:
            if self._stop.is_set() or self._waiting.size + size > WAITING_BYTES_MAX:
                self._lost += 1
                return
            self._waiting.size += size
            self._waiting.calls.append(call)
        self._wake.set()

    def mark(self, mark: RunMark) -> Future[None]:
        """Records a mark soon, if its run is recorded; the future has the OSError where it could
        not be written.
        """
        marked = _Marked(mark, Future())
        if not self.wants(mark.run):
            marked.done.set_result(None)
            return marked.done
        with self._lock:
            if self._stop.is_set():
                marked.done.set_exception(OSError("the gateway stops"))
                return marked.done
            self._waiting.marks.append(marked)
        self._wake.set()
        return marked.done

    def lose(self, why: object) -> None:
        """Counts a call of which there is no record."""
        with self._lock:
            self._lost += 1
        _log.error("a call could not be recorded: %s", why)

    @property
    def counts(self) -> TraceCounts:
        with self._lock:
            waiting = len(self._waiting.calls) + len(self._waiting.lines)
            return TraceCounts(self._written, waiting, self._lost)

    def close(self) -> None:
        """Writes what waits, and closes the files. What cannot be written now is lost."""
        with self._lock:
            self._stop.set()
        self._wake.set()
        self._thread.join()

    def __enter__(self) -> TraceLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(RETRY_AFTER if self._failing else self._until_rotation())
            self._stop.wait(RETRY_AFTER if self._failing else GATHERING)
            self._wake.clear()
            self._safely_write()
            self._rotate()
        self._safely_write()
        with self._lock:
            left = len(self._waiting.lines) + len(self._waiting.calls)
            self._lost += left
            self._waiting = _Waiting()
        if left:
            _log.error("%s: %d calls could not be recorded", self._directory, left)
        self._upkeep.stop()
        for file in self._files.values():
            file.close()

    def _safely_write(self) -> None:
        try:
            self._write_all()
        except Exception:  # noqa: BLE001 - else nothing would be recorded any more
            _log.exception("%s: calls could not be recorded", self._directory)

    def _write_all(self) -> None:
        while self._encode():
            try:
                self._write_lines()
                self._rotate()
            except OSError as error:
                self._failed(error)
                break
        self._write_marks()

    def _encode(self) -> bool:
        """Turns calls into lines up to the size of a batch. Returns whether there are any."""
        waiting = self._waiting
        size = sum(map(len, waiting.lines))
        while size < BATCH_BYTES_MAX:
            with self._lock:
                if not waiting.calls:
                    break
                call = waiting.calls.popleft()
                waiting.size -= _size(call)
            try:
                line = encoded_line(self._prepare(call) if self._prepare else call)
            except (ValueError, TypeError, RecursionError, msgspec.MsgspecError) as error:
                self.lose(error)
                continue
            with self._lock:
                waiting.lines.append(line)
                waiting.size += len(line)
            size += len(line)
        return bool(waiting.lines)

    def _write_lines(self) -> None:
        lines = list(self._waiting.lines)
        count = self._put("calls", lines)
        with self._lock:
            for line in lines[:count]:
                self._waiting.lines.popleft()
                self._waiting.size -= len(line)
            self._written += count
        if self._failing:
            self._failing = False
            _log.warning("%s: calls are recorded again", self._directory)

    def _write_marks(self) -> None:
        with self._lock:
            marks = list(self._waiting.marks)
            self._waiting.marks.clear()
        for one in marks:
            if not one.done.set_running_or_notify_cancel():
                continue
            try:
                self._put("runs", [encoded_line(one.mark)])
            except (OSError, ValueError, msgspec.MsgspecError) as error:
                one.done.set_exception(error)
            else:
                one.done.set_result(None)

    def _put(self, kind: Kind, lines: Sequence[bytes]) -> int:
        """Appends lines to the file of this kind, and returns how many were written. Where that
        file has been removed meanwhile, they are written again into a new one.
        """
        for _ in range(_PLACES_MAX):
            file = self._files.get(kind)
            if file is None:
                file = self._files[kind] = LineFile.create(self._directory, kind)
            try:
                count, place = file.append(lines), file.place()
            except OSError as error:
                if error.errno not in NO_ROOM:  # nobody knows what the file holds now
                    self._drop(kind)
                raise
            if place is FilePlace.HERE:
                return count
            self._drop(kind)
            _log.warning("%s was %s; a new file is begun", file.path, place.value)
            if place is FilePlace.MOVED:
                return count
        raise FileNotFoundError(f"{self._directory} is removed again and again")

    def _until_rotation(self) -> float | None:
        """Seconds until a file that has records must be closed, at least those of a batch."""
        began = [file.opened for file in self._files.values() if file.size]
        if not began:
            return None
        return max(GATHERING, min(began) + self.options.file_age - time.time())

    def _rotate(self) -> None:
        """Closes the files that are large or old enough. The next record begins new ones."""
        for kind, file in list(self._files.items()):
            old = time.time() - file.opened >= self.options.file_age
            if file.size >= self.options.file_bytes or (old and file.size):
                self._drop(kind)
                self._upkeep.closed(file.path)

    def _drop(self, kind: Kind) -> None:
        file = self._files.pop(kind)
        with suppress(OSError):
            file.close()

    def _failed(self, error: OSError) -> None:
        if not self._failing:
            _log.error("%s: calls cannot be recorded: %s", self._directory, error.strerror or error)
        self._failing = True


def _size(call: Call) -> int:
    return _CALL_BYTES + len(call.request or "") + len(call.response or "")
