"""Children get the gateway in their environment, and never outlive us."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from openai_like import openai_like
from scepsy.drive import ChildResult, trace_children
from scepsy.drive.children import arguments, environment
from scepsy.errors import BadInput, NotFound
from scepsy.marking import RUN_HEADER, SITE, WORKFLOW_HEADER

AGENT = """
import asyncio, sys
from openai import AsyncOpenAI
async def main():
    async with AsyncOpenAI() as client:
        await client.chat.completions.create(model="m", messages=[])
asyncio.run(main())
print("answered", sys.argv[1])
"""

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
path = sys.argv[1]
open(path + ".tmp", "w").write(f"{os.getpid()} {child.pid}")
os.rename(path + ".tmp", path)
time.sleep(float(sys.argv[2]))
"""

GATEWAY = "http://127.0.0.1:1"


def python(program: str, *rest: str) -> list[str]:
    return [sys.executable, "-c", program, *rest]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.slow
async def test_each_input_is_a_run_of_an_unchanged_program() -> None:
    told: list[ChildResult] = []
    async with openai_like() as server:
        results = await trace_children(
            python(AGENT),
            gateway_url=server.url,
            workflow="my agent",
            inputs=["first", "second"],
            jobs=2,
            on_progress=told.append,
        )
    assert [(r.input, r.exit_code, r.stdout) for r in results] == [
        ("first", 0, "answered first\n"),
        ("second", 0, "answered second\n"),
    ]
    assert {result.run for result in told} == {result.run for result in results}
    paths = {path for path, _, _ in server.requests}
    assert paths == {f"/w/my agent/{r.run}/v1/chat/completions" for r in results}
    for path, headers, _ in server.requests:
        assert headers[WORKFLOW_HEADER] == "my agent"
        assert headers[RUN_HEADER] in path


async def test_a_single_child_has_our_output(capfd: pytest.CaptureFixture[str]) -> None:
    program = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    [result] = await trace_children(python(program), gateway_url=GATEWAY, workflow="w")
    assert (result.exit_code, result.stdout, result.stderr_tail) == (3, "", "err")
    assert result.end >= result.start
    out, err = capfd.readouterr()
    assert (out, err) == ("out\n", "err\n")


async def test_a_child_that_fails_keeps_its_last_words() -> None:
    program = "import sys\nfor i in range(50): print(i, file=sys.stderr)\nraise ValueError('boom')"
    results = await trace_children(
        python(program), gateway_url=GATEWAY, workflow="w", inputs=["x", "y"], jobs=1
    )
    assert [result.exit_code for result in results] == [1, 1]
    assert results[0].stderr_tail.splitlines()[-1] == "ValueError: boom"
    assert len(results[0].stderr_tail.splitlines()) == 10


@pytest.mark.slow
async def test_cancelling_ends_the_children_and_theirs(tmp_path: Path) -> None:
    path = tmp_path / "pids"
    told: list[ChildResult] = []
    traced = asyncio.create_task(
        trace_children(
            python(STUBBORN, "{}", "600"),
            gateway_url=GATEWAY,
            workflow="w",
            inputs=[str(path)],
            on_progress=told.append,
        )
    )
    pids = await asyncio.to_thread(written, path)
    assert all(map(alive, pids))
    traced.cancel()
    with pytest.raises(asyncio.CancelledError):
        await traced
    # Nobody waits for a grandchild: on a busy machine it is gone a moment after it was killed.
    await asyncio.to_thread(wait_until, lambda: not any(map(alive, pids)))
    assert [result.exit_code for result in told] == [-signal.SIGTERM]


async def test_what_a_child_leaves_behind_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "pids"
    [result] = await trace_children(
        python(STUBBORN, "{}", "0"), gateway_url=GATEWAY, workflow="w", inputs=[str(path)]
    )
    assert result.exit_code == 0
    for pid in written(path):
        await asyncio.to_thread(wait_until, lambda pid=pid: not alive(pid))


def written(path: Path) -> list[int]:
    wait_until(path.exists)
    return [int(pid) for pid in path.read_text().split()]


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("command", "kind"),
    [(["/no/such/program"], NotFound), (["/etc/passwd"], BadInput), ([], BadInput)],
)
async def test_a_command_that_cannot_run(command: list[str], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await trace_children(command, gateway_url=GATEWAY, workflow="w", inputs=["a", "b"], jobs=2)
    with pytest.raises(BadInput):
        await trace_children(["true"], gateway_url=GATEWAY, workflow="w\n")


def test_where_the_input_goes() -> None:
    assert arguments(["a", "b"], None) == ["a", "b"]
    assert arguments(["a", "b"], "x y") == ["a", "b", "x y"]
    assert arguments(["a", "-q={}", "b"], "x") == ["a", "-q=x", "b"]


def test_environment_adds_to_what_is_there() -> None:
    base = {"OPENAI_API_KEY": "mine", "OPENAI_CUSTOM_HEADERS": "x-own: 1\n", "HOME": "/h"}
    made = environment(base, "http://gw:1/v1/", "rag", "r1")
    assert made["OPENAI_API_KEY"] == "mine"
    assert made["HOME"] == "/h"
    assert made["OPENAI_BASE_URL"] == made["OPENAI_API_BASE"] == "http://gw:1/w/rag/r1/v1"
    headers = "x-own: 1\nx-scepsy-workflow: rag\nx-scepsy-run: r1"
    assert made["OPENAI_CUSTOM_HEADERS"] == headers
    assert environment({}, "http://gw:1", "rag", "r1")["OPENAI_API_KEY"]


def test_a_program_that_opens_its_own_runs_is_told_the_workflow_only() -> None:
    made = environment({"PYTHONPATH": "mine"}, "http://gw:1", "rag", None)
    assert made["OPENAI_BASE_URL"] == "http://gw:1/w/rag/v1"
    assert made["OPENAI_CUSTOM_HEADERS"] == "x-scepsy-workflow: rag"
    assert made["PYTHONPATH"].split(os.pathsep) == [str(SITE), "mine"]
    assert (SITE / "sitecustomize.py").is_file()
    assert "SCEPSY_RUN" not in made
