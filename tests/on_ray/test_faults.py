"""What callers see, and what happens by itself, when parts of a Ray cluster fail."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import suppress

import pytest
from ray_site import ENGINES, RaySite, eventually

from scepsy.core.plan import Plan
from scepsy.deploy.status import Status
from scepsy.errors import BadInput, Unreachable
from scepsy.testing.callers import Answers, call, calling
from scepsy.testing.deploy_plans import plan_of
from scepsy.testing.ray_cluster import RayCluster

pytestmark = pytest.mark.ray


@pytest.fixture
async def site(whole: RayCluster) -> AsyncGenerator[RaySite]:
    site = RaySite(whole)
    yield site
    whole.mend()
    await site.clear()


def three(site: RaySite) -> Plan:
    """A replica of one LLM on the first GPU of each node."""
    return plan_of(site.cluster, *(("m", [f"{n.name}/0"], 1.0) for n in site.cluster.nodes))


def check(answers: Answers, what: str) -> None:
    """No call may have failed. The figures are printed."""
    print(f"{what}: {answers.complete} calls, the longest {answers.longest:.1f} s")  # noqa: T201
    assert answers.complete
    assert answers.failed == []


async def until(site: RaySite, what: str, *, epoch: int, replicas: int) -> Status:
    """The status, once so many replicas are ready; the seconds that it took are printed."""
    begun = time.monotonic()

    async def reached() -> bool:
        try:
            status = await site.backend.status()
        except Unreachable:  # as long as the head is away
            return False
        ready = [one for one in status.replicas if one.state == "ready"]
        return status.epoch >= epoch and status.healthy and len(ready) == replicas

    await eventually(reached)
    print(f"{what}: {time.monotonic() - begun:.1f} s")  # noqa: T201
    return await site.backend.status()


async def test_a_node_loses_its_power_under_load(site: RaySite) -> None:
    done = await site.backend.apply(three(site))
    async with calling(done.url, "m", callers=4, stream=False) as answers:
        await asyncio.sleep(1)
        await site.kill_node("w2")
        status = await until(site, "power off", epoch=2, replicas=3)
        await asyncio.sleep(1)
    assert {one.node for one in status.replicas} == {"w1", "w3"}
    check(answers, "power off")


async def test_a_node_that_is_cut_off_goes_on_and_gets_no_calls(site: RaySite) -> None:
    done = await site.backend.apply(three(site))
    zombie = site.machines["w2"]
    (pid,) = zombie.pids(ENGINES)
    async with calling(done.url, "m", callers=4, stream=False) as answers:
        await asyncio.sleep(1)
        zombie.cut()
        status = await until(site, "cut", epoch=2, replicas=3)
        assert zombie.pids(ENGINES) == [pid]
        zombie.mend()
        await asyncio.sleep(1)
        assert {one.node for one in (await site.backend.status()).replicas} == {"w1", "w3"}
    assert {one.node for one in status.replicas} == {"w1", "w3"}
    assert all(one.epoch == 2 for one in status.replicas)
    check(answers, "cut off")

    async def ended() -> bool:  # Ray ends the node that it has called dead
        return not zombie.pids(ENGINES)

    await eventually(ended)


async def gets_calls(site: RaySite, node: str) -> bool:
    """Whether the replica on this node has served a call since it has its address."""
    status = await site.backend.status()
    return all(one.served for one in status.replicas if one.node == node)


async def test_a_killed_actor_comes_back(site: RaySite) -> None:
    done = await site.backend.apply(three(site))
    async with calling(done.url, "m", callers=4, stream=False) as answers:
        (actor,) = site.machines["w2"].pids("ray::EngineActor")
        (engine,) = site.machines["w2"].pids(ENGINES)
        os.kill(actor, signal.SIGKILL)

        async def ended() -> bool:
            return engine not in site.machines["w2"].pids(ENGINES)

        await eventually(ended)
        await until(site, "actor killed", epoch=1, replicas=3)
        await eventually(lambda: gets_calls(site, "w2"))
    check(answers, "actor killed")


async def test_a_killed_gateway_comes_back_at_its_address_with_its_routes(site: RaySite) -> None:
    done = await site.backend.apply(three(site))
    (gateway,) = site.machines.head.pids("-m scepsy.gateway")

    async def answers() -> bool:
        return await call(done.url, "m", 4) is None

    os.kill(gateway, signal.SIGKILL)
    await eventually(answers)
    (actor,) = site.machines.head.pids("ray::GatewayActor")
    os.kill(actor, signal.SIGKILL)
    await eventually(answers)


async def test_a_gateway_whose_node_is_lost_comes_up_on_another_one(site: RaySite) -> None:
    site.backend.gateway_node = "w1"
    plan = plan_of(site.cluster, *(("m", [f"{name}/0"], 1.0) for name in ("w2", "w3")))
    done = await site.backend.apply(plan)
    before = await site.engines()
    assert await call(done.url, "m", 4) is None
    begun = time.monotonic()
    await site.kill_node("w1")

    async def moved() -> bool:
        told = await site.backend.status()
        return told.url not in ("", done.url) and told.gateway == "ready"

    await eventually(moved)
    print(f"gateway moved: {time.monotonic() - begun:.1f} s")  # noqa: T201
    # Nobody answers at the address that callers had: they have to be pointed at the new one.
    with suppress(TimeoutError):
        assert await asyncio.wait_for(call(done.url, "m", 4), 20) is not None
    status = await site.backend.status()
    assert status.url.rpartition(":")[2] == done.url.rpartition(":")[2]
    assert any("w1 of the gateway is lost" in note for note in status.notes)
    assert await call(status.url, "m", 4) is None
    assert await site.engines() == before


async def test_the_head_restarts_and_calls_go_on(site: RaySite) -> None:
    site.backend.gateway_node = "w1"
    done = await site.backend.apply(three(site))
    before = await site.engines()
    async with calling(done.url, "m", callers=4, stream=False) as answers:
        await asyncio.to_thread(site.machines.restart_head)
        await until(site, "head restarted", epoch=1, replicas=3)
    assert await site.engines() == before
    check(answers, "head restarted")


async def test_what_does_not_fit_any_more_is_said_and_the_rest_serves(site: RaySite) -> None:
    every = [f"{node.name}/{gpu}" for node in site.cluster.nodes for gpu in range(2)]
    done = await site.backend.apply(plan_of(site.cluster, *(("m", [g], 1.0) for g in every)))
    await site.kill_node("w3")

    async def noted() -> bool:
        return bool((await site.backend.status()).notes)

    await eventually(noted)
    assert "without w3 the plan does not fit" in (await site.backend.status()).notes[0]
    assert await call(done.url, "m", 4) is None


async def test_without_the_token_nobody_is_let_in(site: RaySite) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scepsy", "status", *site.flags),
        env={**env, "HOME": str(site.machines.folder)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await command.communicate()
    assert command.returncode == Unreachable.exit_code
    assert b"RAY_AUTH_MODE=token" in said
    assert len(said.splitlines()) == 1, said.decode()


async def test_a_gpu_that_is_gone_or_taken_is_named(site: RaySite) -> None:
    await site.backend.apply(three(site))
    with pytest.raises(BadInput, match=r"'w1/gpu0' is taken.*m-0 of deployment 'default'"):
        await site.backend.apply(three(site), name="other")
    await site.kill_node("w3")

    async def planned_anew() -> bool:
        return (await site.backend.status()).epoch == 2

    await eventually(planned_anew)
    with pytest.raises(BadInput, match=r"node 'w3'.* is dead; living nodes: .*w1, w2"):
        await site.backend.apply(plan_of(site.cluster, ("m", ["w3/1"], 1.0)), name="other")
