"""Commands that are killed, at the worst moment or at any, leave no engine that cannot be found."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Plan
from scepsy.deploy import LocalBackend
from scepsy.deploy.local.marks import marked
from scepsy.store import write_record
from scepsy.testing.callers import call
from scepsy.testing.deploy_plans import LLMS, plan_of

CLUSTER = Cluster(nodes=(Node(name="n", gpus=2),))
ONE = plan_of(CLUSTER, ("m", ["n/0"], 1.0))
TWO = plan_of(CLUSTER, ("m", ["n/0"], 1.0), ("k", ["n/1"], 1.0))

KILLED_BEFORE_THE_NOTE = """
import asyncio, os, signal, sys
from pathlib import Path
from scepsy.deploy.local.backend import LocalBackend
from scepsy.deploy.local.deployment_file import DeploymentFile
from scepsy.store import read_plan

DeploymentFile.put = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(LocalBackend(Path(sys.argv[1])).apply(read_plan(Path(sys.argv[2]))))
"""


@pytest.fixture
async def local(tmp_path: Path) -> AsyncGenerator[LocalBackend]:
    backend = LocalBackend(tmp_path / "state")
    try:
        yield backend
    finally:
        for name in backend.files.names():
            await backend.down(name, grace=0)
        assert not marked(backend.files.folder("default"))


async def run(*arguments: str | Path) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, *map(str, arguments), stdout=DEVNULL, stderr=DEVNULL
    )


async def orphaned(local: LocalBackend, folder: Path, plan: Plan) -> None:
    """Deploys in a process that is killed between the start of an engine and its note."""
    path = folder / "plan.json"
    write_record(path, plan)
    command = await run("-c", KILLED_BEFORE_THE_NOTE, local.root, path)
    assert await command.wait() == -signal.SIGKILL
    assert local.load("default").replicas == ()
    assert len(marked(local.files.folder("default"))) == 1


async def test_down_finds_an_engine_that_was_never_noted(
    local: LocalBackend, tmp_path: Path
) -> None:
    await orphaned(local, tmp_path, ONE)
    assert (await local.down()).stopped == 1
    assert not marked(local.files.folder("default"))


async def test_the_next_deploy_finds_an_engine_that_was_never_noted(
    local: LocalBackend, tmp_path: Path
) -> None:
    await orphaned(local, tmp_path, ONE)
    done = await local.apply(ONE)
    assert done.replicas == ("m-0",)
    assert (await local.status()).healthy
    assert len(marked(local.files.folder("default"))) == 3  # engine, gateway, supervisor


async def test_commands_that_are_killed_at_any_time_leave_no_orphan(
    local: LocalBackend, tmp_path: Path
) -> None:
    path, state = tmp_path / "plan.json", str(local.root)
    for number, wait in enumerate((1.2, 1.8, 2.4)):
        write_record(path, (TWO, ONE)[number % 2])
        commands = [
            await run("-m", "scepsy", "deploy", path, "--on", "local", "--state", state)
            for _ in range(2)
        ]
        await asyncio.sleep(wait)
        for command in commands:
            if command.returncode is None:
                command.kill()
            await command.wait()
    done = await local.apply(TWO, grace=0, allow_dip=True)
    assert {one.rpartition("-")[0] for one in done.replicas} == {llm.name for llm in LLMS}
    assert (await local.status()).healthy
    assert len(marked(local.files.folder("default"))) == 4


async def test_after_a_down_that_was_killed_while_it_waited_a_deploy_serves_again(
    local: LocalBackend,
) -> None:
    done = await local.apply(ONE)
    async with asyncio.TaskGroup() as tasks:
        long = tasks.create_task(call(done.url, "m", 1500))
        async with asyncio.timeout(60):
            while not (await local.status()).replicas[0].in_flight:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        down = tasks.create_task(local.down(grace=600))
        async with asyncio.timeout(60):
            while await call(done.url, "m", 4) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        down.cancel()
        await asyncio.wait([down])
        await local.apply(ONE)
        assert await call(done.url, "m", 4) is None
    assert long.result() is None
