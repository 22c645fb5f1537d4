"""Changes of one deployment: one after another, whether or not their commands still listen."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from scepsy.core.cluster import Cluster, Node
from scepsy.deploy.backend import Applied, OnProgress
from scepsy.deploy.ray.api import RayApi
from scepsy.deploy.ray.controller import Controller
from scepsy.deploy.ray.jobs import Jobs, Work
from scepsy.deploy.ray.records import RayDeployment
from scepsy.deploy.ray.runtime import RayRuntime
from scepsy.deploy.ray.state import StoredDeployment
from scepsy.errors import BadInput, Conflict, EngineFailed
from scepsy.testing.deploy_plans import plan_of


class Result(msgspec.Struct):
    number: int


def work(number: int, go: asyncio.Event):
    async def change(say: OnProgress) -> Result:
        say(f"begun {number}")
        await go.wait()
        return Result(number)

    return change


async def begun(jobs: Jobs, change: Work) -> int:
    """The number of a command's change, which asks until it may begin."""
    start = time.monotonic()
    while True:
        waited = time.monotonic() - start
        number = await jobs.begin(change, by_command=True, waited=waited)
        if number is not None:
            return number
        await asyncio.sleep(0.05)


async def listened(jobs: Jobs, number: int) -> str:
    """The result, asked for as a command does."""
    known = 0
    while not (told := await jobs.told(number, known)).done:
        known += len(told.said)
    return told.result or told.error


async def test_of_two_commands_the_second_is_told() -> None:
    jobs, go = Jobs("d"), asyncio.Event()
    first = await begun(jobs, work(1, go))
    listening = asyncio.create_task(listened(jobs, first))
    with pytest.raises(Conflict, match="another command is changing deployment 'd'"):
        await begun(jobs, work(2, go))
    with pytest.raises(Conflict):
        await jobs.begin(work(3, go), by_command=False)
    go.set()
    assert await listening == '{"number":1}'
    second = await begun(jobs, work(2, go))
    assert await listened(jobs, second) == '{"number":2}'


async def test_a_change_whose_command_was_killed_is_waited_for() -> None:
    jobs, go = Jobs("d"), asyncio.Event()
    first = await begun(jobs, work(1, go))
    second = asyncio.create_task(begun(jobs, work(2, go)))
    await asyncio.sleep(0.5)
    assert not second.done()
    go.set()
    assert await listened(jobs, await second) == '{"number":2}'
    assert await listened(jobs, first) == '{"number":1}'


async def test_a_repair_is_waited_for_and_errors_keep_their_names() -> None:
    jobs, go = Jobs("d"), asyncio.Event()

    async def refused(_: OnProgress) -> Result:
        await go.wait()
        raise BadInput("no")

    repair = await jobs.begin(refused, by_command=False)
    assert repair is not None
    command = asyncio.create_task(begun(jobs, work(2, go)))
    await asyncio.sleep(0.2)
    assert not command.done()
    go.set()
    assert await listened(jobs, repair) == "bad_input"
    assert await listened(jobs, await command) == '{"number":2}'


async def test_a_change_of_a_controller_that_was_restarted_is_not_mixed_up_with_another() -> None:
    go = asyncio.Event()
    number = await begun(Jobs("d"), work(1, go))
    restarted = Jobs("d")
    repair = await restarted.begin(work(2, go), by_command=False)
    assert repair != number
    told = await restarted.told(number, 0)
    assert told.done
    assert told.error == "unreachable"
    await restarted.cancel(number)
    go.set()


class _Failing(Controller):
    """Always finds something lost, and never gets it back."""

    looks = 0
    repairs = 0

    async def repair(self, say: OnProgress) -> Applied:
        self.repairs += 1
        raise EngineFailed("m-0 ended before it was ready")

    async def _lost_something(self, busy: bool) -> bool:
        self.looks += 1
        self.gone = self.looks == 200
        return not busy


async def test_a_repair_that_keeps_failing_is_tried_less_and_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scepsy.deploy.ray.controller._PERIOD", 0.005)
    plan = plan_of(Cluster(nodes=(Node(name="n", gpus=1),)), ("m", ["n/0"], 1.0))
    current = RayDeployment(name="d", plan=plan, epoch=1)
    controller = _Failing(RayRuntime(StoredDeployment(RayApi(), current)))
    await controller.watch(Jobs("d"))
    assert 2 <= controller.repairs < 10
