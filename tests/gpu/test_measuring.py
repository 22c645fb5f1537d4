"""The part of the measuring scripts that needs neither torch nor a GPU."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from benchmarks.gpu.jobs import CPU, GPU, GPU_QUICK, PARTS, Sizes, jobs
from benchmarks.gpu.mps import CONTROL, MpsUnavailable, client, daemon
from benchmarks.gpu.shapes import LARGE, SMALL


@pytest.mark.parametrize("sizes", [GPU, GPU_QUICK, CPU])
def test_jobs_have_keys_of_their_own_and_whole_steps(sizes: Sizes) -> None:
    found = list(jobs(sizes, PARTS))
    assert len({job.key for job in found}) == len(found)
    for job in found:
        assert all(point.prefill or (point.decodes and point.context) for point in job.points)
        assert job.neighbour is None or job.share + job.neighbour.share <= 1


def test_each_member_of_a_pair_is_measured_alone_at_its_share() -> None:
    found = list(jobs(GPU, ("pairs",)))
    alone = {(job.points, job.share) for job in found if job.neighbour is None}
    for job in found:
        for member in filter(None, (job, job.neighbour)):
            assert (member.points, member.share) in alone


def test_the_shapes_are_those_of_the_public_llms() -> None:
    assert SMALL.parameters == pytest.approx(0.596e9, rel=0.01)
    assert LARGE.parameters == pytest.approx(8.03e9, rel=0.01)


def test_without_mps_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MpsUnavailable, match="not installed"), daemon("GPU-1"):
        pass


STAND_IN = """#!/bin/sh
# Notes what it is asked, and where its pipes are. The real one needs a GPU.
[ -d "$CUDA_MPS_PIPE_DIRECTORY" ] && [ -d "$CUDA_MPS_LOG_DIRECTORY" ] || exit 1
[ "$1" = -d ] && asked=start || read -r asked
echo "$CUDA_VISIBLE_DEVICES $CUDA_MPS_PIPE_DIRECTORY $asked" >> "$NOTES"
[ "$asked" != "$FAILS" ]
"""


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    control = tmp_path / CONTROL
    control.write_text(STAND_IN)
    control.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", "/tmp/somebody-elses")
    return tmp_path / "notes"


def test_the_daemon_is_private_and_quits(notes: Path) -> None:
    with daemon("GPU-1") as private:
        pipe = private["CUDA_MPS_PIPE_DIRECTORY"]
        assert client(private, 0.3)["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "30"
        assert len(pipe) < 60
    asked = [f"GPU-1 {pipe} {word}" for word in ("start", "get_server_list", "quit -t 10")]
    assert notes.read_text().splitlines() == asked
    assert not Path(pipe).exists()


@pytest.mark.parametrize("step", ["start", "get_server_list"])
def test_a_daemon_that_fails_is_no_daemon(
    notes: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setenv("FAILS", step)
    with pytest.raises(MpsUnavailable, match="failed"), daemon("GPU-1"):
        pass
    assert step in notes.read_text()
