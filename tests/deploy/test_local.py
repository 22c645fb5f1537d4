"""A deployment on this machine: what a change keeps, what it refuses, what a failure leaves."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Plan, Target
from scepsy.demo.manual_plans import even_split
from scepsy.deploy import Deployment, LocalBackend
from scepsy.engines import EngineOptions
from scepsy.engines.procfs import is_alive
from scepsy.errors import BadInput
from scepsy.store import read_record

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


def pids(deployment: Deployment) -> set[int]:
    return {one.pid for one in deployment.replicas}


def routed(deployment: Deployment) -> set[str]:
    assert deployment.gateway is not None
    with urllib.request.urlopen(f"{deployment.gateway.url}/scepsy/status") as answer:
        return {one["replica"] for one in json.loads(answer.read())["replicas"]}


async def test_an_engine_stays_only_if_it_would_be_started_the_same(local: LocalBackend) -> None:
    first = await local.apply(plan())
    assert pids(await local.apply(plan())) == pids(first)
    other_llm = await local.apply(plan(max_sequences=32))
    assert not pids(other_llm) & pids(first)
    local.options = EngineOptions(seed=1, exit_with_parent=True)
    other_seed = await local.apply(plan(max_sequences=32))
    assert not pids(other_seed) & pids(other_llm)
    assert routed(other_seed) == {one.replica.replica for one in other_seed.replicas}
    assert other_seed.gateway == first.gateway


async def test_a_gateway_is_told_of_once_it_accepts(local: LocalBackend) -> None:
    accepted: dict[str, bool] = {}

    def note(what: str) -> None:
        state = local.root / "default" / "state.json"
        gateway = read_record(state, Deployment).gateway if state.exists() else None
        accepted[what] = gateway is not None and _answers(gateway.url)

    await local.apply(plan(), on_progress=note)
    assert accepted.pop("gateway")
    assert accepted


def _answers(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/scepsy/status") as answer:
        return answer.status == 200


async def test_what_a_running_gateway_cannot_change_is_refused(
    local: LocalBackend, tmp_path: Path
) -> None:
    done = await local.apply(plan(), traces=tmp_path / "traces")
    assert done.gateway is not None
    port = int(done.gateway.url.rpartition(":")[2])
    with pytest.raises(BadInput, match=f"listens on port {port}, not 1;"):
        await local.apply(plan(), port=1)
    with pytest.raises(BadInput, match=r"traces, not .*elsewhere"):
        await local.apply(plan(), traces=tmp_path / "elsewhere")
    assert await local.apply(plan(), port=port, traces=tmp_path / "traces") == done


async def test_an_engine_is_known_before_it_is_ready(local: LocalBackend) -> None:
    path = local.root / "default" / "state.json"
    applying = asyncio.create_task(local.apply(plan()))
    while not path.exists():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    (known,) = read_record(path, Deployment).replicas
    assert not known.launched
    assert is_alive(known.pid, known.born)
    applying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await applying
    assert not is_alive(known.pid, known.born)
    assert not path.parent.exists()


async def test_one_that_was_never_seen_ready_is_replaced(local: LocalBackend) -> None:
    done = await local.apply(plan())
    (one,) = done.replicas
    local.files.save(  # as a killed command leaves it
        msgspec.structs.replace(done, replicas=(msgspec.structs.replace(one, launched=""),))
    )
    again = await local.apply(plan())
    assert not pids(again) & pids(done)
    assert not is_alive(one.pid, one.born)


async def test_a_change_that_cannot_be_written_puts_the_old_routes_back(
    local: LocalBackend,
) -> None:
    before = await local.apply(plan())
    path = local.root / "default" / "state.json"
    seen: list[Deployment] = []

    def on_progress(what: str) -> None:
        if what == "gateway":
            seen.append(read_record(path, Deployment))
            path.unlink()
            path.mkdir()

    with pytest.raises(BadInput, match="cannot be written"):
        await local.apply(plan(gpus=2), on_progress=on_progress)
    path.rmdir()
    local.files.save(before)
    started = [one for one in seen[0].replicas if one not in before.replicas]
    assert len(started) == 1
    assert not is_alive(started[0].pid, started[0].born)
    assert routed(before) == {one.replica.replica for one in before.replicas}
    assert (await local.status()).healthy


async def test_a_first_deployment_that_cannot_be_written_leaves_nothing(
    local: LocalBackend,
) -> None:
    path = local.root / "default" / "state.json"
    seen: list[Deployment] = []

    def on_progress(what: str) -> None:
        if what == "gateway":
            seen.append(read_record(path, Deployment))
            path.unlink()
            path.mkdir()

    with pytest.raises(BadInput, match="cannot be written"):
        await local.apply(plan(), on_progress=on_progress)
    assert not any(is_alive(one.pid, one.born) for one in seen[0].replicas)
    assert not path.parent.exists()


async def test_of_two_deploys_at_once_the_second_is_refused_and_changes_nothing(
    local: LocalBackend,
) -> None:
    first = asyncio.create_task(local.apply(plan()))
    await asyncio.sleep(0)
    with pytest.raises(BadInput, match="another command is changing deployment 'default'"):
        await local.apply(plan(gpus=2))
    done = await first
    assert local.load("default") == done
    assert (await local.status()).healthy
