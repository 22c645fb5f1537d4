"""A command runs on the cores, and at the share of their time, that it is given."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scepsy.engines import EngineOptions, EngineResources
from scepsy.engines.confine import confine
from scepsy.engines.confined import CGROUPS, chosen_cores, join_group

SHOW = (sys.executable, "-c", "import os; print(os.getpid(), os.sched_getaffinity(0))")
BURN = """
from time import monotonic, process_time
wall, spent = monotonic(), process_time()
while process_time() < spent + 0.3:
    pass
print((process_time() - spent) / (monotonic() - wall))
"""
ANYWHERE = EngineResources(gpu_type="cpu", gpu_memory=1e9)


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_nothing_to_confine() -> None:
    assert confine(SHOW, ANYWHERE, EngineOptions()) == SHOW


def test_it_becomes_the_command_on_its_core() -> None:
    last = sorted(os.sched_getaffinity(0))[-1]
    resources = EngineResources(
        gpu_type="cpu", gpu_memory=1e9, gpus=(len(os.sched_getaffinity(0)) - 1,)
    )
    argv = confine(SHOW, resources, EngineOptions(exit_with_parent=True))
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    printed, _ = process.communicate()
    assert printed.split(maxsplit=1) == [str(process.pid), f"{{{last}}}\n"]


def test_a_core_that_is_not_there() -> None:
    assert chosen_cores("0,2", {3, 5, 8}) == {3, 8}
    resources = EngineResources(gpu_type="cpu", gpu_memory=1e9, gpus=(4096,))
    done = run(*confine(SHOW, resources, EngineOptions()))
    assert done.returncode == 1
    assert "there is no core 4096" in done.stderr


@pytest.mark.skipif(
    not os.access(CGROUPS / "cpu", os.W_OK), reason="needs a cgroup that can be written"
)
def test_a_share_of_a_core_is_what_a_busy_process_gets() -> None:
    resources = EngineResources(gpu_type="cpu", gpu_memory=1e9, gpu_share=0.25, gpus=(0,))
    done = run(*confine((sys.executable, "-c", BURN), resources, EngineOptions()))
    # A busy machine gives it less; a share is a ceiling.
    assert float(done.stdout) < 0.3, done.stderr


@pytest.mark.parametrize("unified", [True, False])
def test_groups_are_made_and_old_ones_removed(tmp_path: Path, unified: bool) -> None:
    if unified:
        (tmp_path / "cgroup.controllers").touch()
    parent = tmp_path if unified else tmp_path / "cpu"
    ended = subprocess.Popen(["true"])
    ended.wait()
    (parent / f"scepsy-{ended.pid}").mkdir(parents=True)
    join_group(tmp_path, os.getpid(), 1.5)
    [group] = parent.glob("scepsy-*")
    written = {path.name: path.read_text() for path in group.iterdir()}
    assert written.pop("cgroup.procs") == str(os.getpid())
    if unified:
        assert written == {"cpu.max": "15000 10000"}
    else:
        assert written == {"cpu.cfs_period_us": "10000", "cpu.cfs_quota_us": "15000"}
