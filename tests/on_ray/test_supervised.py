"""A process that is kept running: restarts, the limit, and the last words of a crash loop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from scepsy.deploy.ray.supervised import SupervisedProcess
from scepsy.deploy.restarts import RestartPolicy
from scepsy.engines import Launch
from scepsy.engines.procfs import identity

SERVER = (
    "import sys; from http.server import *; "
    "Handler = type('H', (BaseHTTPRequestHandler,), {'do_GET': lambda s: (s.send_response(200), "
    "s.end_headers())}); HTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()"
)
POLICY = RestartPolicy(hung_after=1.5, first_wait=0.05, longest_wait=0.1, most=3)


def supervised(folder: Path, *argv: str) -> SupervisedProcess:
    def launch(port: int) -> Launch:
        command = tuple(word.replace("PORT", str(port)) for word in argv)
        return Launch((sys.executable, *command), f"http://127.0.0.1:{port}")

    return SupervisedProcess("one", folder / "one.log", POLICY, launch, "127.0.0.1")


async def ready(one: SupervisedProcess, *, restarts: int) -> int:
    """Its pid, once it is ready after so many restarts."""
    async with asyncio.timeout(60):
        while True:
            report = one.report()
            if report.state == "ready" and report.restarts == restarts:
                return report.pid
            await asyncio.sleep(0.05)


async def test_a_killed_and_a_hung_process_is_started_again(tmp_path: Path) -> None:
    one = supervised(tmp_path, "-c", SERVER, "PORT")
    running = asyncio.create_task(one.run())
    os.kill(await ready(one, restarts=0), signal.SIGKILL)
    hung = await ready(one, restarts=1)
    assert one.report().last_words.startswith("one ended")
    os.kill(hung, signal.SIGSTOP)
    last = await ready(one, restarts=2)
    assert "did not answer" in one.report().last_words
    running.cancel()
    await asyncio.wait([running])
    assert identity(hung) is None
    assert identity(last) is None


async def test_a_crash_loop_ends_with_the_last_words(tmp_path: Path) -> None:
    one = supervised(tmp_path, "-c", "import sys; sys.exit('no such GPU')")
    async with asyncio.timeout(60):
        await one.run()
    report = one.report()
    assert (report.state, report.failures) == ("failed", 3)
    assert "no such GPU" in report.last_words


async def test_a_folder_that_cannot_be_made_is_a_failure_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "full").write_text("no folder")
    one = supervised(tmp_path / "full", "-c", SERVER, "PORT")
    async with asyncio.timeout(60):
        await one.run()
    assert one.report().state == "failed"
