"""Names in a plan never lead out of the state directory."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scepsy.core.plan import Replica, Slice
from scepsy.deploy.local.locking import changing
from scepsy.deploy.local.state_directory import StateDirectory
from scepsy.engines.procfs import identity, is_alive
from scepsy.errors import BadInput, Conflict

FILES = StateDirectory(Path("/state"))
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(names)
@example("../../evil")
@example("meta/llama-0")
@example("..")
def test_logs_and_boards_stay_in_their_folders(name: str) -> None:
    part = Slice(node=name, gpu=0, gpu_share=1.0, memory_share=1.0)
    replica = Replica(replica=name, llm="m", tp=1, slices=(part,))
    (board,) = FILES.boards(replica)
    assert FILES.engine_log("d", name).resolve().parent == Path("/state/d")
    assert Path(board).resolve().parent == Path("/state/.gpus")


@pytest.mark.parametrize("name", ["", ".", "..", "../evil", ".gpus"])
def test_a_deployment_name_that_is_no_folder_name_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="deployment name"):
        FILES.load(name)


def test_a_deployment_name_that_is_too_long_for_a_folder_is_refused() -> None:
    with pytest.raises(BadInput, match="at most 100 bytes"):
        FILES.load("x" * 300)


@pytest.mark.parametrize("root", ["/dev/null", "/proc/no-such-folder"])
def test_a_state_directory_that_cannot_be_written_is_refused(root: str) -> None:
    with (
        pytest.raises(BadInput, match=f"state directory {root}/d: cannot be written"),
        StateDirectory(Path(root)).locked("d"),
    ):
        pass


def test_of_two_changes_at_once_the_second_is_refused(tmp_path: Path) -> None:
    with StateDirectory(tmp_path).locked("d"):
        with (
            pytest.raises(Conflict, match="another command is changing deployment 'd'"),
            StateDirectory(tmp_path).locked("d"),
        ):
            pass
        with StateDirectory(tmp_path).locked("other"):
            pass
    with StateDirectory(tmp_path).locked("d"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_logs_of_different_replicas_are_different_files() -> None:
    names = ["gateway", "supervisor", "a", "a.1", "a.log.1", "x" * 300, "x" * 301]
    logs = {FILES.engine_log("d", name) for name in names}
    logs |= {FILES.gateway_log("d"), FILES.supervisor_log("d")}
    assert len(logs) == len(names) + 2
    assert all(len(log.name.encode()) <= 255 for log in logs)


def test_whoever_removes_a_deployment_leaves_its_next_owner_alone(tmp_path: Path) -> None:
    files = StateDirectory(tmp_path)
    with ExitStack() as later:
        with files.locked("d"):
            files.remove("d")
            later.enter_context(files.locked("d"))
        assert files.holder("d") is not None
        assert files.folder("d").exists()
        with pytest.raises(Conflict), files.locked("d"):
            pass


async def test_a_command_begins_when_the_supervisor_has_ended(tmp_path: Path) -> None:
    """It lets go of its lock some time before."""
    script = """if True:
        import signal, sys, threading, time
        from pathlib import Path
        from scepsy.deploy.local.state_directory import StateDirectory
        told = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: told.set())
        with StateDirectory(Path(sys.argv[1])).locked("d", "supervisor"):
            print("locked", flush=True)
            while not told.is_set():
                time.sleep(0.01)
        time.sleep(1)
    """
    argv = [sys.executable, "-c", script, str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*argv, stdout=PIPE)
    assert process.stdout is not None
    born = identity(process.pid)
    assert born is not None
    try:
        assert await process.stdout.readline() == b"locked\n"
        async with changing(StateDirectory(tmp_path), "d"):
            assert not is_alive(process.pid, born)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
