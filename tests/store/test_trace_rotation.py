"""Trace files rotate, are compressed and removed; a follower sees each call once all the same."""

from __future__ import annotations

import fcntl
import gzip
import itertools
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_trace_log import ids, numbered, settle

from builders import call, trace
from scepsy.core.recording import RecordingOptions
from scepsy.core.trace import RunMark
from scepsy.errors import BadInput, NotFound
from scepsy.store import TraceLog, read_traces
from scepsy.store.trace_files import files_of
from scepsy.store.trace_follow import Follower
from scepsy.store.trace_upkeep import StoredFile, expired
from scepsy.traces.sampling import is_sampled, represented


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def packed(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.gz"))


def test_large_files_are_closed_and_compressed_and_all_is_read(tmp_path: Path):
    options = RecordingOptions(file_bytes=2000)
    with TraceLog(tmp_path, options) as log:
        for number in range(60):
            log.append(numbered(number))
            if number % 10 == 9:
                settle(log)
        wait_until(lambda: len(packed(tmp_path)) >= 4)
        wait_until(lambda: len(files_of(tmp_path, "calls")) - len(packed(tmp_path)) <= 1)
        assert ids_and_other(tmp_path) == [str(number) for number in range(60)]
    assert {stat.S_IMODE(path.stat().st_mode) for path in packed(tmp_path)} == {0o600}
    assert not list(tmp_path.glob(".*"))
    assert log.counts.written == 60


def ids_and_other(directory: Path) -> list[str]:
    """The calls of the run, of which `settle` has written marks for another."""
    return [one.call for run in read_traces(directory).traces for one in run.calls]


def test_old_files_are_closed_without_another_call(tmp_path: Path):
    with TraceLog(tmp_path, RecordingOptions(file_age=0.1)) as log:
        log.append(numbered(0))
        wait_until(lambda: packed(tmp_path))
        log.append(numbered(1))
        settle(log)
        assert ids_and_other(tmp_path) == ["0", "1"]


def test_files_of_a_gateway_that_was_killed_are_compressed_by_the_next(tmp_path: Path):
    with TraceLog(tmp_path) as log:
        log.append(numbered(0))
    (left,) = files_of(tmp_path, "calls")
    with left.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)  # a gateway that runs
        with TraceLog(tmp_path, RecordingOptions(file_age=0.05)) as log:
            log.append(numbered(1))
            wait_until(lambda: packed(tmp_path))
            assert left.exists()
    with TraceLog(tmp_path):
        wait_until(lambda: not left.exists())
    assert ids_and_other(tmp_path) == ["0", "1"]


def test_compression_can_be_switched_off(tmp_path: Path):
    with TraceLog(tmp_path, RecordingOptions(file_bytes=1, compress=False)) as log:
        for number in range(3):
            log.append(numbered(number))
            settle(log)
    assert not packed(tmp_path)
    assert len(files_of(tmp_path, "calls")) == 3


def test_the_oldest_closed_files_go_and_never_an_open_one(tmp_path: Path):
    options = RecordingOptions(file_bytes=1, keep_bytes=1)
    with TraceLog(tmp_path, options) as log:
        for number in range(5):
            log.append(numbered(number))
            settle(log)
        wait_until(lambda: not packed(tmp_path) and not files_of(tmp_path, "calls"))
        assert log.counts.written == 5


def test_files_are_kept_for_their_time(tmp_path: Path):
    with TraceLog(tmp_path, RecordingOptions(file_bytes=1)) as log:
        log.append(numbered(0))
        wait_until(lambda: packed(tmp_path))
        (old,) = packed(tmp_path)
        log.append(numbered(1))
        wait_until(lambda: len(packed(tmp_path)) == 2)
    os.utime(old, (time.time() - 8 * 86_400,) * 2)
    with TraceLog(tmp_path, RecordingOptions(keep_age=7 * 86_400.0)):
        wait_until(lambda: not old.exists())
    assert ids_and_other(tmp_path) == ["1"]


stored = st.builds(
    StoredFile,
    path=st.uuids().map(lambda one: Path(str(one))),
    modified=st.floats(0, 100),
    size=st.integers(0, 100),
    is_open=st.booleans(),
)


@given(
    st.lists(stored, max_size=8),
    st.none() | st.floats(1, 100),
    st.none() | st.integers(1, 300),
)
def test_what_expires(files: list[StoredFile], keep_age: float | None, keep_bytes: int | None):
    gone = expired(files, 100.0, keep_age, keep_bytes)
    left = [one for one in files if one not in gone]
    assert not any(one.is_open for one in gone)
    closed = [one for one in left if not one.is_open]
    if keep_age is not None:
        assert not any(100.0 - one.modified > keep_age for one in closed)
    if keep_bytes is not None:
        assert not closed or sum(one.size for one in left) <= keep_bytes
    assert all(one.modified <= other.modified for one in gone for other in closed)
    if keep_age is None and keep_bytes is None:
        assert not gone


def test_a_compressed_file_that_is_cut_off_is_named(tmp_path: Path):
    with TraceLog(tmp_path, RecordingOptions(file_bytes=1)) as log:
        log.append(numbered(0))
        wait_until(lambda: packed(tmp_path))
    (path,) = packed(tmp_path)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(BadInput, match=r"\.gz: gzip data is damaged or cut off"):
        read_traces(tmp_path)


def test_a_follower_sees_each_call_once_across_rotations_and_compression(tmp_path: Path):
    with TraceLog(tmp_path, RecordingOptions(file_bytes=4000)) as log:
        log.append(numbered(0))
        settle(log)
        follower = Follower(tmp_path)
        seen: list[str] = []
        for number in range(1, 301):
            log.append(numbered(number))
            if number % 7 == 0:
                settle(log)
                seen += [one.call for one in follower.poll()]
        settle(log)
        wait_until(lambda: len(packed(tmp_path)) > 5)
        seen += [one.call for one in follower.poll()]
    seen += [one.call for one in follower.poll()]
    assert seen == [str(number) for number in range(1, 301)]


def test_a_follower_that_was_late_reads_what_was_compressed_meanwhile(tmp_path: Path):
    follower_at_start = None
    with TraceLog(tmp_path, RecordingOptions(file_bytes=1)) as log:
        follower_at_start = Follower(tmp_path)
        for number in range(3):
            log.append(numbered(number))
            settle(log)
        wait_until(lambda: len(packed(tmp_path)) >= 3)
    assert [one.call for one in follower_at_start.poll()] == ["0", "1", "2"]
    assert [one.call for one in Follower(tmp_path, from_start=True).poll()] == ["0", "1", "2"]
    assert follower_at_start.poll() == Follower(tmp_path).poll() == []


def test_a_follower_waits_for_the_end_of_a_line_and_passes_over_bad_ones(tmp_path: Path):
    path = tmp_path / "calls.jsonl"
    path.touch()
    follower = Follower(tmp_path)
    with TraceLog(tmp_path / "t") as log:
        log.append(numbered(0))
    (made,) = files_of(tmp_path / "t", "calls")
    line = made.read_bytes()
    with path.open("ab", buffering=0) as file:
        file.write(b"nonsense\n" + line[:20])
        assert follower.poll() == []
        file.write(line[20:])
        assert [one.call for one in follower.poll()] == ["0"]
    with pytest.raises(NotFound):
        Follower(tmp_path / "not-there")


@given(st.text(), st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_run_of_a_small_sample_is_in_every_larger_one(run: str, one: float, other: float):
    small, large = sorted((one, other))
    assert is_sampled(run, 1.0)
    if is_sampled(run, small):
        assert is_sampled(run, large)


def test_a_sample_has_its_size_and_tells_how_many_runs_there_were(tmp_path: Path):
    runs = [f"run-{number}" for number in range(1000)]
    for sample, fewest, most in ((0.1, 70, 130), (0.5, 450, 550)):
        assert fewest < sum(is_sampled(run, sample) for run in runs) < most
    with TraceLog(tmp_path, RecordingOptions(sample=0.25)) as log:
        for run, number in itertools.product(runs[:200], range(2)):
            if log.wants(run):
                log.append(call("m", 1.0, 2.0 + number, run=run, layer="url", sample=0.25))
            log.mark(RunMark(run=run, workflow="w", start=0.0, end=9.0))
    traces = read_traces(tmp_path).traces
    assert {len(run.calls) for run in traces} == {2}
    assert represented(traces) == 4 * len(traces)
    assert 120 < represented(traces) < 280
    (marks,) = files_of(tmp_path, "runs")
    assert marks.read_bytes().count(b"\n") == 2 * len(traces)
    assert represented([trace(call("m", 1.0, 2.0))]) == 1.0


def test_gzip_is_what_readers_expect(tmp_path: Path):
    with TraceLog(tmp_path, RecordingOptions(file_bytes=1)) as log:
        log.append(numbered(0))
        wait_until(lambda: packed(tmp_path))
    (path,) = packed(tmp_path)
    assert gzip.decompress(path.read_bytes()).count(b"\n") == 1
    assert ids(tmp_path) == ["0"]
