"""A deployment on this machine: what a change keeps, what it refuses, what a failure leaves."""

from __future__ import annotations

import asyncio
import os
import signal
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Placement, Plan, Target
from scepsy.demo.manual_plans import even_split
from scepsy.deploy import Deployment, LocalBackend
from scepsy.deploy.gateway_client import counts
from scepsy.engines import EngineOptions
from scepsy.engines.procfs import is_alive
from scepsy.errors import BadInput, Conflict, NotFound
from scepsy.gateway.access.admin_access import read_access
from scepsy.store import read_record
from scepsy.store.trace_files import files_of

OPTIONS = EngineOptions(exit_with_parent=True)


def plan(gpus: int = 1, max_sequences: int = 64) -> Plan:
    llm = LlmSpec(
        name="m", parameters=1e9, layers=4, hidden=512, kv_heads=4, head_dim=64,
        max_sequences=max_sequences,
    )  # fmt: skip
    cluster = Cluster(nodes=(Node(name="n", gpus=gpus),))
    return even_split([llm], cluster, [Target(workflow="w", rate=1)])


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[LocalBackend]:
    backend = LocalBackend(tmp_path / "state", OPTIONS)
    yield backend
    for found in backend.root.glob("*/state.json"):
        await backend.down(found.parent.name)


def pids(local: LocalBackend) -> set[int]:
    return {one.pid for one in local.load("default").replicas}


async def routed(local: LocalBackend) -> set[str]:
    access = read_access(local.files.gateway_admin("default"))
    assert access is not None
    return {one.replica for one in (await counts(access)).replicas}


async def test_an_engine_stays_only_if_it_would_be_started_the_same(local: LocalBackend) -> None:
    first = await local.apply(plan())
    before = pids(local)
    again = await local.apply(plan())
    assert (again.started, again.stopped, again.waves, again.epoch) == ((), (), (), 1)
    assert pids(local) == before
    other_llm = await local.apply(plan(max_sequences=32), allow_dip=True)
    assert not pids(local) & before
    assert other_llm.epoch == 2
    before = pids(local)
    local.options = EngineOptions(seed=1, exit_with_parent=True)
    other_seed = await local.apply(plan(max_sequences=32), allow_dip=True)
    assert not pids(local) & before
    assert await routed(local) == set(other_seed.replicas)
    assert other_seed.url == first.url


async def test_a_gateway_is_told_of_once_it_accepts(local: LocalBackend) -> None:
    accepted: list[bool] = []

    def note(what: str) -> None:
        if what == "ready: gateway":
            gateway = local.load("default").gateway
            accepted.append(gateway is not None and _answers(gateway.url))

    await local.apply(plan(), on_progress=note)
    assert accepted == [True]


def _answers(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/health") as answer:
        return answer.status == 200


async def test_what_a_running_gateway_cannot_change_is_refused(
    local: LocalBackend, tmp_path: Path
) -> None:
    done = await local.apply(plan(), traces=tmp_path / "traces")
    port = int(done.url.rpartition(":")[2])
    with pytest.raises(BadInput, match=f"listens on port {port}, not 1;"):
        await local.apply(plan(), port=1)
    with pytest.raises(BadInput, match=r"traces, not .*elsewhere"):
        await local.apply(plan(), traces=tmp_path / "elsewhere")
    before = local.load("default")
    await local.apply(plan(), port=port, traces=tmp_path / "traces")
    assert local.load("default") == before


async def test_a_gateway_that_ended_comes_back_with_its_port_and_its_traces(
    local: LocalBackend, tmp_path: Path
) -> None:
    done = await local.apply(plan(), traces=tmp_path / "traces")
    gateway = local.load("default").gateway
    assert gateway is not None
    await kill(gateway.pid, gateway.born)
    again = await local.apply(plan())
    assert again.url == done.url
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{again.url}/v1/completions", json={"model": "m", "prompt": "a"}) as answer,
    ):
        assert answer.status == 200

    def recorded() -> int:
        return sum(file.read_text().count("\n") for file in files_of(tmp_path / "traces", "calls"))

    async with asyncio.timeout(10):
        while not recorded():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
    assert recorded() == 1


async def kill(pid: int, born: int) -> None:
    os.kill(pid, signal.SIGKILL)
    while is_alive(pid, born):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_the_log_of_an_engine_that_ended_is_kept(local: LocalBackend) -> None:
    await local.apply(plan())
    for number in range(1, 3):
        (one,) = local.load("default").replicas
        _append(one.log, f"crash number {number}\n")
        await kill(one.pid, one.born)
        await local.apply(plan())
    assert _last_lines(local.root / "default", "engine-m-0.log.*") == {
        "engine-m-0.log.1": "crash number 2",
        "engine-m-0.log.2": "crash number 1",
    }


def _append(path: str, text: str) -> None:
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(text)


def _last_lines(folder: Path, pattern: str) -> dict[str, str]:
    return {path.name: path.read_text().splitlines()[-1] for path in folder.glob(pattern)}


async def test_a_hung_engine_is_replaced(local: LocalBackend) -> None:
    await local.apply(plan())
    (one,) = local.load("default").replicas
    os.kill(one.pid, signal.SIGSTOP)
    done = await local.apply(plan())
    assert done.stopped == ("m-0",)
    assert not is_alive(one.pid, one.born)
    assert (await local.status()).healthy


async def test_a_hung_gateway_is_replaced(local: LocalBackend) -> None:
    done = await local.apply(plan())
    gateway = local.load("default").gateway
    assert gateway is not None
    os.kill(gateway.pid, signal.SIGSTOP)
    again = await local.apply(plan())
    assert again.url == done.url
    assert not is_alive(gateway.pid, gateway.born)
    assert await routed(local) == {"m-0"}


async def test_an_engine_is_known_before_it_is_ready(local: LocalBackend) -> None:
    path = local.root / "default" / "state.json"
    applying = asyncio.create_task(local.apply(plan()))
    while not path.exists() or not local.load("default").replicas:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    (known,) = local.load("default").replicas
    assert known.phase == "starting"
    assert is_alive(known.pid, known.born)
    applying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await applying
    assert not is_alive(known.pid, known.born)
    assert not path.parent.exists()


async def test_one_that_was_still_starting_is_waited_for(local: LocalBackend) -> None:
    await local.apply(plan())
    done = local.load("default")
    (one,) = done.replicas
    local.files.save(  # as a killed command leaves it
        msgspec.structs.replace(
            done, settled=False, replicas=(msgspec.structs.replace(one, phase="starting"),)
        )
    )
    assert (await local.status()).notes[0].startswith("a change was interrupted")
    await local.apply(plan())
    assert pids(local) == {one.pid}
    assert local.load("default").replicas[0].phase == "serving"
    assert (await local.status()).notes == ()


async def test_a_change_that_cannot_be_written_puts_the_old_routes_back(
    local: LocalBackend,
) -> None:
    await local.apply(plan())
    before = local.load("default")
    path = local.root / "default" / "state.json"
    seen: list[Deployment] = []

    def on_progress(what: str) -> None:
        if what == "ready: m-1":
            seen.append(read_record(path, Deployment))
            path.unlink()
            path.mkdir()

    with pytest.raises(BadInput, match="cannot be written"):
        await local.apply(plan(gpus=2), on_progress=on_progress)
    path.rmdir()
    local.files.save(before)
    started = [one for one in seen[0].replicas if one.name == "m-1"]
    assert len(started) == 1
    assert not is_alive(started[0].pid, started[0].born)
    assert await routed(local) == {"m-0"}
    assert (await local.status()).healthy


async def test_a_first_deployment_that_cannot_be_written_leaves_nothing(
    local: LocalBackend,
) -> None:
    path = local.root / "default" / "state.json"
    seen: list[Deployment] = []

    def on_progress(what: str) -> None:
        if what == "ready: m-0":
            seen.append(read_record(path, Deployment))
            path.unlink()
            path.mkdir()

    with pytest.raises(BadInput, match="cannot be written"):
        await local.apply(plan(), on_progress=on_progress)
    assert seen
    assert not any(is_alive(one.pid, one.born) for one in seen[0].replicas)
    assert not path.parent.exists()


async def test_of_two_deploys_at_once_the_second_is_refused_and_changes_nothing(
    local: LocalBackend,
) -> None:
    first = asyncio.create_task(local.apply(plan()))
    await asyncio.sleep(0)
    with pytest.raises(Conflict, match="another command is changing deployment 'default'"):
        await local.apply(plan(gpus=2))
    await first
    assert local.load("default").plan == plan()
    assert (await local.status()).healthy


async def test_a_plan_without_replicas_is_refused(local: LocalBackend) -> None:
    empty = msgspec.structs.replace(plan(), placement=Placement(replicas=()))
    with pytest.raises(BadInput, match="it has no replica"):
        await local.apply(empty)
    with pytest.raises(NotFound):
        local.load("default")


async def test_a_preview_changes_nothing(local: LocalBackend) -> None:
    told = await local.preview(plan())
    assert "start m-0" in told[0]
    with pytest.raises(NotFound):
        local.load("default")
    await local.apply(plan())
    before = local.load("default")
    assert await local.preview(plan()) == ()
    assert any("start m-1" in wave for wave in await local.preview(plan(gpus=2)))
    assert local.load("default") == before


async def test_an_engine_of_which_nobody_knows_is_stopped(local: LocalBackend) -> None:
    """As where the command is killed between the start of an engine and its note."""
    await local.apply(plan())
    before = local.load("default")
    (one,) = before.replicas
    local.files.save(msgspec.structs.replace(before, replicas=()))
    await local.apply(plan())
    assert not is_alive(one.pid, one.born)
    (again,) = local.load("default").replicas
    local.files.save(msgspec.structs.replace(before, replicas=()))
    assert (await local.down()).stopped >= 1
    assert not is_alive(again.pid, again.born)


async def test_a_deployment_whose_state_is_damaged_is_taken_down_all_the_same(
    local: LocalBackend,
) -> None:
    await local.apply(plan())
    before = local.load("default")
    local.files.folder("default").joinpath("state.json").write_text("{")
    with pytest.raises(BadInput, match="not valid JSON"):
        await local.status()
    assert (await local.down()).stopped == 3  # engine, gateway, supervisor
    assert not is_alive(before.replicas[0].pid, before.replicas[0].born)
    with pytest.raises(NotFound):
        await local.down()
