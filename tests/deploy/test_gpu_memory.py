"""Deployments on GPUs whose memory is counted: what has no room is refused, replicas whose memory
is needed stop first, and the memory of a killed engine is free again.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import msgspec
import pytest

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Placement, Plan, Replica, Slice, Target
from scepsy.demo.manual_plans import even_split
from scepsy.deploy import LocalBackend
from scepsy.deploy.gateway_client import counts
from scepsy.deploy.local.engine_starts import EngineStart
from scepsy.deploy.local.runtime import LocalRuntime
from scepsy.engines import EngineOptions
from scepsy.engines.procfs import is_alive
from scepsy.errors import BadInput, EngineFailed
from scepsy.gateway.access.admin_access import read_access

OPTIONS = EngineOptions(exit_with_parent=True)
LLMS = tuple(
    LlmSpec(name=name, parameters=1e9, layers=4, hidden=512, kv_heads=4, head_dim=64)
    for name in ("m", "k")
)


def plan(*placed: tuple[str, Sequence[int], float], llms: Sequence[LlmSpec] = LLMS) -> Plan:
    """Replicas of an LLM, on GPUs, with a share of each."""
    base = even_split(
        LLMS, Cluster(nodes=(Node(name="n", gpus=2),)), [Target(workflow="w", rate=1)]
    )
    replicas = tuple(
        Replica(
            replica=f"{llm}-{number}",
            llm=llm,
            tp=len(gpus),
            slices=tuple(
                Slice(node="n", gpu=gpu, gpu_share=share, memory_share=share) for gpu in gpus
            ),
        )
        for number, (llm, gpus, share) in enumerate(placed)
    )
    return msgspec.structs.replace(base, llms=tuple(llms), placement=Placement(replicas=replicas))


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[LocalBackend]:
    backend = LocalBackend(tmp_path / "state", OPTIONS)
    yield backend
    for name in backend.files.names():
        await backend.down(name)


async def routed(local: LocalBackend) -> set[str]:
    access = read_access(local.files.gateway_admin("default"))
    assert access is not None
    return {one.replica for one in (await counts(access)).replicas}


def pids(local: LocalBackend) -> set[int]:
    return {one.pid for one in local.load("default").replicas}


async def test_whole_gpus_change_hands(local: LocalBackend) -> None:
    await local.apply(plan(("m", (0,), 1.0), ("k", (1,), 1.0)))
    before = pids(local)
    second = await local.apply(plan(("k", (0,), 1.0), ("k", (1,), 1.0)), allow_dip=True)
    assert len(before & pids(local)) == 1
    assert (await local.status()).healthy
    assert await routed(local) == set(second.replicas)
    await local.apply(plan(("m", (0, 1), 1.0)), allow_dip=True)
    assert [one.replica.tp for one in local.load("default").replicas] == [2]


async def test_only_what_is_in_the_way_stops_before_its_successor_is_ready(
    local: LocalBackend,
) -> None:
    await local.apply(plan(("m", (0,), 0.6), ("k", (1,), 0.3)))
    first = {one.replica.llm: one for one in local.load("default").replicas}
    serving: list[bool] = []

    def note(what: str) -> None:
        if what.startswith("ready: m-"):
            serving.extend(is_alive(first[llm].pid, first[llm].born) for llm in "mk")

    second = await local.apply(plan(("m", (0,), 0.7)), allow_dip=True, on_progress=note)
    assert serving == [False, True]
    assert len(second.replicas) == 1


async def test_the_memory_of_killed_engines_is_free_again(local: LocalBackend) -> None:
    await local.apply(plan(("m", (0,), 0.5), ("k", (0,), 0.5)))
    for one in local.load("default").replicas:
        os.kill(one.pid, signal.SIGKILL)
        while is_alive(one.pid, one.born):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    second = await local.apply(plan(("m", (0,), 1.0)), allow_dip=True)
    assert len(second.replicas) == 1
    assert (await local.status()).healthy


async def test_two_deployments_cannot_have_the_same_whole_gpu(local: LocalBackend) -> None:
    await local.apply(plan(("m", (0,), 1.0)), name="one")
    with pytest.raises(EngineFailed, match="Free memory on device n-0"):
        await local.apply(plan(("k", (0,), 1.0)), name="two")
    await local.apply(plan(("k", (1,), 1.0)), name="two")


async def test_two_deployments_cannot_have_the_same_memory(local: LocalBackend) -> None:
    await local.apply(plan(("m", (0,), 0.6)), name="one")
    with pytest.raises(EngineFailed, match="Free memory on device n-0"):
        await local.apply(plan(("k", (0,), 0.5)), name="two")
    assert local.files.names() == ["one"]
    await local.apply(plan(("k", (0,), 0.4)), name="two")


async def test_a_plan_that_does_not_fit_is_refused_before_anything_starts(
    local: LocalBackend,
) -> None:
    await local.apply(plan(("m", (0,), 1.0)))
    before = local.load("default")
    with pytest.raises(BadInput, match=r"cannot be started: GPU 0 of n: .*add up to 1\.2"):
        await local.apply(plan(("m", (0,), 0.6), ("k", (0,), 0.6)))
    large = msgspec.structs.replace(LLMS[0], parameters=1e12)
    with pytest.raises(BadInput, match="cannot be started: m-0: 'm' does not fit"):
        await local.apply(plan(("m", (0,), 1.0), llms=(large, LLMS[1])))
    assert local.load("default") == before
    assert (await local.status()).healthy


async def test_an_interrupted_drain_is_taken_back(
    local: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    await local.apply(plan(("m", (0,), 1.0), ("m", (1,), 1.0)))
    before = pids(local)

    async def interrupted(*_: object) -> None:
        applying.cancel()
        await asyncio.sleep(60)

    with monkeypatch.context() as patch:
        patch.setattr(LocalRuntime, "drain", interrupted)
        other = plan(("m", (0,), 1.0), ("k", (1,), 1.0))
        applying = asyncio.create_task(local.apply(other, allow_dip=True))
        with pytest.raises(asyncio.CancelledError):
            await applying
    assert pids(local) == before
    assert local.load("default").settled
    assert await routed(local) == {"m-0", "m-1"}
    assert (await local.status()).healthy


async def test_an_llm_without_a_replica_is_answered_with_503_meanwhile(
    local: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = await local.apply(plan(("m", (0,), 1.0)))
    url, answers = f"{done.url}/v1/completions", dict[str, int]()
    started = EngineStart.start

    async def ask_then_start(self: EngineStart, replica: Replica) -> None:
        async with aiohttp.ClientSession() as session:
            for llm in ("k", "m", "unknown"):
                async with session.post(url, json={"model": llm, "prompt": "a"}) as answer:
                    answers[llm] = answer.status
        await started(self, replica)

    monkeypatch.setattr(EngineStart, "start", ask_then_start)
    await local.apply(plan(("k", (0,), 1.0)), allow_dip=True)
    assert answers == {"k": 503, "m": 404, "unknown": 404}


async def test_what_had_to_make_room_comes_back_where_its_successor_fails(
    local: LocalBackend,
) -> None:
    await local.apply(plan(("m", (0,), 1.0), ("k", (1,), 1.0)))
    before = local.load("default")
    broken = msgspec.structs.replace(LLMS[1], flags=("--no-such-flag",))
    with pytest.raises(EngineFailed, match="no-such-flag"):
        await local.apply(plan(("k", (0,), 1.0), llms=(LLMS[0], broken)), allow_dip=True)
    after = local.load("default")
    assert after.plan == before.plan
    assert after.epoch > before.epoch
    placed = {(one.replica.llm, one.replica.slices) for one in after.replicas}
    assert placed == {(one.replica.llm, one.replica.slices) for one in before.replicas}
    assert (await local.status()).healthy
    assert await routed(local) == {one.name for one in after.replicas}
