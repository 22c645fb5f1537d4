"""Changes of one deployment: one after another, whether or not their commands still listen."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from scepsy.deploy.backend import OnProgress
from scepsy.deploy.ray.jobs import Jobs, Work
from scepsy.errors import BadInput, Conflict


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
