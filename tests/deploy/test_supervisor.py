"""Engines and gateways that end or hang come back without a command; a crash loop is told of."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from scepsy.core.cluster import Cluster, Node
from scepsy.deploy import LocalBackend, Status
from scepsy.deploy.local.marks import marked
from scepsy.deploy.restarts import RestartPolicy
from scepsy.engines.procfs import is_alive
from scepsy.testing.callers import call
from scepsy.testing.deploy_plans import plan_of

CLUSTER = Cluster(nodes=(Node(name="n", gpus=2),))
ONE = plan_of(CLUSTER, ("m", ["n/0"], 1.0))
TWO = plan_of(CLUSTER, ("m", ["n/0"], 1.0), ("m", ["n/1"], 1.0))


@pytest.fixture
async def local(tmp_path: Path) -> AsyncGenerator[LocalBackend]:
    policy = RestartPolicy(hung_after=4.0, first_wait=0.1, most=3)
    backend = LocalBackend(tmp_path / "state", restarts=policy)
    try:
        yield backend
    finally:
        for name in backend.files.names():
            await backend.down(name, grace=0)
        assert not marked(backend.files.folder("default"))


async def status_where(local: LocalBackend, holds: Callable[[Status], bool]) -> Status:
    async with asyncio.timeout(120):
        while not holds(status := await local.status()):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return status


def end(pid: int, sign: signal.Signals = signal.SIGKILL) -> None:
    os.kill(pid, sign)


async def test_a_hung_engine_is_replaced(local: LocalBackend) -> None:
    done = await local.apply(ONE)
    (one,) = local.load("default").replicas
    end(one.pid, signal.SIGSTOP)
    status = await status_where(local, lambda told: told.healthy and told.replicas[0].restarts > 0)
    assert status.replicas[0].pid != one.pid
    assert not is_alive(one.pid, one.born)
    assert await call(done.url, "m", 4) is None


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_gateway_that_ended_or_hangs_is_replaced_on_its_port(
    local: LocalBackend, sign: signal.Signals
) -> None:
    done = await local.apply(ONE)
    gateway = local.load("default").gateway
    assert gateway is not None
    end(gateway.pid, sign)
    await status_where(local, lambda told: told.gateway != "ready" or _replaced(local, gateway.pid))
    status = await status_where(local, lambda told: told.healthy)
    assert status.url == done.url
    assert await call(done.url, "m", 4) is None


def _replaced(local: LocalBackend, pid: int) -> bool:
    gateway = local.load("default").gateway
    return gateway is not None and gateway.pid != pid


async def test_a_crash_loop_ends_and_is_told_with_the_last_words(local: LocalBackend) -> None:
    await local.apply(TWO)
    for _ in range(3):
        replica = next(one for one in local.load("default").replicas if one.name == "m-0")
        with Path(replica.log).open("a") as log:  # noqa: ASYNC230
            log.write("CUDA error: out of patience\n")
        end(replica.pid)
        await status_where(local, lambda told, pid=replica.pid: _moved_on(told, pid))
    status = await status_where(local, lambda told: told.replicas[0].state != "dead")
    told = {one.replica: one for one in status.replicas}
    assert (told["m-0"].state, told["m-1"].state) == ("failed", "ready")
    assert told["m-0"].restarts == 2
    assert "out of patience" in told["m-0"].last_words
    assert any("m-0 failed 3 times in a row" in note for note in status.notes)
    assert not status.healthy
    supervisor = local.load("default").supervisor
    assert supervisor is not None
    end(supervisor.pid)  # what it has given up is not for its successor to say
    again = await local.apply(TWO)  # tries again
    assert again.started == ("m-0",)
    assert (await status_where(local, lambda now: now.healthy)).notes == ()


def _moved_on(told: Status, pid: int) -> bool:
    one = next(one for one in told.replicas if one.replica == "m-0")
    return one.state == "failed" or (one.state == "ready" and one.pid != pid)


async def test_without_its_supervisor_a_deployment_goes_on_and_says_so(
    local: LocalBackend,
) -> None:
    done = await local.apply(ONE)
    before = local.load("default").supervisor
    assert before is not None
    end(before.pid)
    status = await status_where(local, lambda told: bool(told.notes))
    assert "no supervisor runs" in status.notes[0]
    assert status.healthy
    assert await call(done.url, "m", 4) is None
    again = await local.apply(ONE)
    assert again.waves == ()
    after = local.load("default").supervisor
    assert after is not None
    assert after.pid != before.pid
    assert (await local.status()).notes == ()


async def test_a_command_has_precedence_over_a_supervisor_that_restarts(
    local: LocalBackend,
) -> None:
    """The supervisor starts an engine; meanwhile a command may change the deployment."""
    await local.apply(ONE)
    (one,) = local.load("default").replicas
    end(one.pid)
    async with asyncio.timeout(60):
        while (holder := local.files.holder("default")) is None or holder.role != "supervisor":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    done = await local.apply(TWO)
    assert len(done.replicas) == 2
    assert (await status_where(local, lambda told: told.healthy)).notes == ()
    assert len(marked(local.files.folder("default"))) == 4


async def test_a_supervisor_outlives_a_state_directory_that_cannot_be_written(
    local: LocalBackend,
) -> None:
    await local.apply(ONE)
    current = local.load("default")
    assert current.supervisor is not None
    in_the_way = local.files.folder("default") / "holder.json"
    in_the_way.mkdir()
    try:
        end(current.replicas[0].pid)
        await _says(local, "nothing can be started again now")
        assert is_alive(current.supervisor.pid, current.supervisor.born)
    finally:
        in_the_way.rmdir()
    status = await status_where(local, lambda told: told.healthy)
    assert status.replicas[0].pid != current.replicas[0].pid


async def test_a_supervisor_that_cannot_read_the_state_says_so_and_ends(
    local: LocalBackend,
) -> None:
    await local.apply(ONE)
    (local.files.folder("default") / "state.json").write_text("{")
    log = await _says(local, "the supervisor ends")
    assert "not valid JSON" in log
    assert "Traceback" not in log


async def _says(local: LocalBackend, what: str) -> str:
    """The supervisor's log, once it has these words."""
    path = local.files.supervisor_log("default")
    async with asyncio.timeout(120):
        while what not in (text := path.read_text()):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return text
