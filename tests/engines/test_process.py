"""Starting and stopping processes: what fails says why, and nothing stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scepsy.core.llm import LlmSpec
from scepsy.engines import (
    EngineOptions,
    EngineResources,
    Launch,
    engine_for,
    free_port,
    start,
    stop,
)
from scepsy.engines.process import stop_pid
from scepsy.engines.procfs import end_group, identity, is_alive
from scepsy.errors import EngineFailed, PortInUse

LLM = LlmSpec(name="x", parameters=1e9, layers=4, hidden=512, kv_heads=4, head_dim=64)


class Stranger(BaseHTTPRequestHandler):
    """Says that it is well."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def python(code: str) -> Launch:
    return Launch((sys.executable, "-c", code), f"http://127.0.0.1:{free_port()}")


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    launch = Launch(("/no/such/program",), "http://127.0.0.1:1")
    with pytest.raises(EngineFailed, match=r"x cannot be started: /no/such/program"):
        await start(Launch(launch.argv, python("").url), log_path=tmp_path / "log", name="x")


async def test_one_that_dies_is_quoted(tmp_path: Path) -> None:
    launch = python("import sys; print('out of memory'); sys.exit(3)")
    with pytest.raises(EngineFailed, match=r"(?s)ended before it was ready.*out of memory"):
        await start(launch, log_path=tmp_path / "log", name="x")


async def test_one_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    never = python("import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    launch = replace(never, ready_timeout=1.0)
    with pytest.raises(EngineFailed, match="not ready after 1 s"):
        await start(launch, log_path=tmp_path / "log", name="x")
    assert identity(int((tmp_path / "log").read_text())) is None


async def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    launch = python("import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    starting = asyncio.create_task(start(launch, log_path=tmp_path / "log", name="x"))
    log = tmp_path / "log"
    while not log.exists() or not log.read_text().strip():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert identity(int((tmp_path / "log").read_text())) is None


async def test_whoever_starts_one_knows_of_it_before_it_is_ready(tmp_path: Path) -> None:
    launch = python("import time; time.sleep(60)")
    seen: list[tuple[int, int]] = []

    def on_spawn(pid: int, born: int) -> None:
        assert is_alive(pid, born)
        seen.append((pid, born))
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await start(launch, log_path=tmp_path / "log", name="x", on_spawn=on_spawn)
    assert identity(seen[0][0]) is None


async def test_a_stranger_on_its_port_is_not_taken_for_it(tmp_path: Path) -> None:
    launch = python("import sys; print('no port'); sys.exit(1)")
    port = int(launch.url.rpartition(":")[2])
    with ThreadingHTTPServer(("127.0.0.1", port), Stranger, bind_and_activate=False) as stranger:
        serving = threading.Thread(target=stranger.serve_forever)

        def on_spawn(pid: int, born: int) -> None:
            while is_alive(pid, born):
                pass
            stranger.server_bind()
            stranger.server_activate()
            serving.start()

        with pytest.raises(PortInUse, match=f"x cannot listen on 127.0.0.1:{port}"):
            await start(launch, log_path=tmp_path / "log", name="x", on_spawn=on_spawn)
        stranger.shutdown()
        serving.join()


async def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    code = (
        "import http.server as h, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "class H(h.BaseHTTPRequestHandler):\n"
        "    def do_GET(self): self.send_response(200); self.end_headers()\n"
        "h.HTTPServer(('127.0.0.1', int(sys.argv[1])), H).serve_forever()"
    )
    port = free_port()
    launch = Launch((sys.executable, "-c", code, str(port)), f"http://127.0.0.1:{port}")
    process = await start(launch, log_path=tmp_path / "log", name="deaf")
    await stop(process, grace=0.2)
    assert not process.alive
    await stop(process)


def killed_with_a_child() -> tuple[int, int, int]:
    """Pid and birth of a leader that was killed, and the pid of what it had started."""
    code = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True); input()"
    argv = (sys.executable, "-c", code)
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, start_new_session=True) as leader:
        assert leader.stdout is not None
        child = int(leader.stdout.readline())
        born = identity(leader.pid)
        leader.kill()
    assert born is not None
    return leader.pid, born, child


async def test_what_outlives_a_killed_engine_is_ended() -> None:
    pid, born, child = killed_with_a_child()
    child_born = identity(child)
    assert child_born is not None
    assert identity(pid) is None
    assert not end_group(pid, child_born + 1, signal.SIGKILL)
    assert is_alive(child, child_born)
    await stop_pid(pid, born)
    async with asyncio.timeout(10):
        while is_alive(child, child_born):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_stranger_with_the_same_pid_is_left_alone() -> None:
    mine = identity(os.getpid())
    assert mine is not None
    assert is_alive(os.getpid(), mine)
    assert not is_alive(os.getpid(), mine - 1)
    assert not end_group(os.getpid(), mine - 1, signal.SIGKILL)
    await stop_pid(os.getpid(), mine - 1)


async def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    engine = engine_for("emulated")
    launch = engine.launch(
        LLM,
        EngineResources(gpu_type="h100", gpu_memory=80e9),
        port=free_port(),
        options=EngineOptions(exit_with_parent=True),
    )
    argv = [*launch.argv[:-1], "PARENT"]
    code = (
        "import os, subprocess, sys, time, urllib.request\n"
        "argv = [a if a != 'PARENT' else str(os.getpid()) for a in sys.argv[2:]]\n"
        "child = subprocess.Popen(argv)\n"
        "while True:\n"
        "    try: urllib.request.urlopen(sys.argv[1]); break\n"
        "    except OSError: time.sleep(0.05)\n"
        "print(child.pid, flush=True); os._exit(0)"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, f"{launch.url}/health", *argv, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await parent.communicate()
    pid = int(output)
    async with asyncio.timeout(10):
        while (born := identity(pid)) is not None and is_alive(pid, born):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
