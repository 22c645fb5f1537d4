"""A running gateway's records: in order, once, merged, and counted where they are lost."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from builders import call
from scepsy.core.trace import Call, RunMark
from scepsy.errors import BadInput
from scepsy.store import TraceLog, TraceWriter, read_traces, trace_log
from scepsy.store.trace_files import files_of


def numbered(number: int, **fields: object) -> Call:
    return call("m", float(number), number + 0.5, call=str(number), layer="url", **fields)


def ids(directory: Path) -> list[str]:
    """The calls of the only run, by their start."""
    (run,) = read_traces(directory).traces
    return [one.call for one in run.calls]


def test_everything_is_written_in_order_when_the_log_is_closed(tmp_path: Path):
    with TraceLog(tmp_path / "t") as log:
        for number in range(5000):
            log.append(numbered(number))
        marked = log.mark(RunMark(run="r0", workflow="w", start=0.0, end=9999.0))
    (file,) = files_of(tmp_path / "t", "calls")
    starts = [line.split(b'"start":')[1].split(b",")[0] for line in file.read_bytes().splitlines()]
    assert len(starts) == 5000
    assert all(float(one) < float(other) for one, other in pairwise(starts))
    assert marked.result(0) is None
    (run,) = read_traces(tmp_path / "t").traces
    assert run.end == 9999.0
    assert (log.counts.written, log.counts.waiting, log.counts.lost) == (5000, 0, 0)


def test_only_the_owner_may_read_what_is_recorded(tmp_path: Path):
    with TraceLog(tmp_path / "log") as log:
        log.append(numbered(0))
        log.mark(RunMark(run="r0", workflow="w", start=0.0, end=9.0)).result(10)
    with TraceWriter(tmp_path / "written") as writer:
        writer.append(numbered(0))
    for directory in (tmp_path / "log", tmp_path / "written"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        found = [*files_of(directory, "calls"), *files_of(directory, "runs")]
        assert [stat.S_IMODE(file.stat().st_mode) for file in found] == [0o600, 0o600]


def test_several_writers_of_one_directory_are_merged(tmp_path: Path):
    with TraceWriter(tmp_path) as writer:
        writer.append(numbered(0))
    with TraceLog(tmp_path) as one, TraceLog(tmp_path) as other:
        for number in range(1, 101):
            (one, other)[number % 2].append(numbered(number))
    assert len(files_of(tmp_path, "calls")) == 3
    assert ids(tmp_path) == [str(number) for number in range(101)]


def test_threads_may_share_a_log(tmp_path: Path):
    with TraceLog(tmp_path) as log:

        def write(first: int) -> None:
            for number in range(first, 2000, 4):
                log.append(numbered(number))

        threads = [threading.Thread(target=write, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert ids(tmp_path) == [str(number) for number in range(2000)]


def test_a_removed_directory_is_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with TraceLog(tmp_path / "t") as log:
        log.append(numbered(0))
        settle(log)
        shutil.rmtree(tmp_path / "t")
        log.append(numbered(1))
        settle(log)
        assert ids(tmp_path / "t") == ["1"]
    assert "was removed; a new file is begun" in caplog.text
    assert log.counts.lost == 0


def test_a_renamed_directory_keeps_its_calls_and_another_is_begun(tmp_path: Path):
    with TraceLog(tmp_path / "t") as log:
        log.append(numbered(0))
        settle(log)
        (tmp_path / "t").rename(tmp_path / "old")
        for number in (1, 2):
            log.append(numbered(number))
            settle(log)
    assert ids(tmp_path / "old") == ["0", "1"]
    assert ids(tmp_path / "t") == ["2"]


def settle(log: TraceLog) -> None:
    """Waits until nothing waits to be written: the log writes calls before marks."""
    log.mark(RunMark(run="other", workflow="w", start=0.0, end=1.0)).result(10)


def test_what_cannot_be_written_waits_within_limits_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(trace_log, "WAITING_BYTES_MAX", 20_000)
    with TraceLog(tmp_path / "t") as log:
        shutil.rmtree(tmp_path / "t")
        (tmp_path / "t").touch()  # in the way of the directory
        for number in range(30):
            log.append(numbered(number))
        with pytest.raises(OSError, match="exists"):
            log.mark(RunMark(run="r", workflow="w", start=0.0, end=1.0)).result(10)
        counts = log.counts
        assert counts.waiting + counts.lost == 30
        assert 0 < counts.lost < 30
        (tmp_path / "t").unlink()
    assert (log.counts.written, log.counts.lost) == (counts.waiting, counts.lost)
    assert ids(tmp_path / "t") == [str(number) for number in range(counts.waiting)]
    assert caplog.text.count("cannot be recorded") == 1


def test_what_still_cannot_be_written_at_the_end_is_lost_and_counted(tmp_path: Path):
    with TraceLog(tmp_path / "t") as log:
        shutil.rmtree(tmp_path / "t")
        (tmp_path / "t").touch()
        log.append(numbered(0))
    assert (log.counts.written, log.counts.waiting, log.counts.lost) == (0, 0, 1)
    log.append(numbered(1))
    assert log.counts.lost == 2


def test_a_directory_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path):
    (tmp_path / "t").touch()
    with pytest.raises(BadInput, match="cannot be written: File exists"):
        TraceLog(tmp_path / "t")


def test_what_cannot_be_encoded_is_lost_alone(tmp_path: Path):
    with TraceLog(tmp_path) as log:
        log.append(numbered(0))
        log.append(numbered(1, output_tokens=object()))
        log.append(numbered(2, error="half \ud83d of it", status=502))
    assert ids(tmp_path) == ["0", "2"]
    assert (log.counts.written, log.counts.lost) == (2, 1)


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from builders import call
from scepsy.store import TraceLog

log, number = TraceLog(Path(sys.argv[1])), 0
while True:
    log.append(call("m", float(number), number + 0.5, call=str(number), layer="url"))
    number += 1
    if number == 2000:
        print(flush=True)
"""


@pytest.mark.parametrize("_", range(3))
def test_a_process_that_is_killed_leaves_a_readable_trace(tmp_path: Path, _: int):
    argv = [sys.executable, "-c", KILLED, str(tmp_path / "t"), str(Path(__file__).parents[1])]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
        finally:
            os.kill(child.pid, signal.SIGKILL)
    found = ids(tmp_path / "t") if read_traces(tmp_path / "t").traces else []
    assert found == [str(number) for number in range(len(found))]


def test_a_torn_last_line_is_said(tmp_path: Path):
    with TraceLog(tmp_path) as log:
        log.append(numbered(0))
        log.append(numbered(1))
    (file,) = files_of(tmp_path, "calls")
    file.write_bytes(file.read_bytes()[:-20])
    found = read_traces(tmp_path)
    assert [one.call for one in found.traces[0].calls] == ["0"]
    assert "jsonl:2: the last line is torn" in found.warnings[0]
