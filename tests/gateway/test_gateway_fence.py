"""Calls at a replica whose machine is cut off go to another one, however long they have waited."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from gateway_peers import CHAT, chunk, gateway_to, hang, peer, says, streams, until

from scepsy.deploy.gateway_client import counts, fence, put_routes
from scepsy.gateway.config import Route
from scepsy.gateway.upstreams.fence import Fence, Fenced

BODY = {"model": "m"}


async def test_a_call_that_waits_at_a_cut_off_replica_is_answered_by_another_one(
    http: aiohttp.ClientSession,
) -> None:
    async with gateway_to(hang, max_sends=1) as (silent, gateway), peer(says(b"{}")) as other:
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(post(http, gateway.url)) for _ in range(3)]
            await until(lambda: silent.calls == 3)
            await put_routes(gateway.admin, [Route(llm="m", replica="m-1", url=other.url)])
            await fence(gateway.admin, ["m-0"])
        assert [task.result() for task in waiting] == [200, 200, 200]
        told = await counts(gateway.admin)
        assert [one.replica for one in told.replicas] == ["m-1"]
        assert told.cut == {}


async def test_a_stream_that_has_begun_ends_with_an_error(http: aiohttp.ClientSession) -> None:
    async def wait(_: object) -> None:
        await asyncio.Event().wait()

    async with (
        gateway_to(streams(chunk("one"), then=wait)) as (_, gateway),
        http.post(gateway.url + CHAT, json={**BODY, "stream": True}) as answer,
    ):
        assert await answer.content.readany() == chunk("one")
        await put_routes(gateway.admin, [])
        await fence(gateway.admin, ["m-0"])
        assert b"cut off" in await answer.content.read()
        assert (await counts(gateway.admin)).cut == {"m-0": 1}


async def test_a_call_that_waits_and_can_go_nowhere_else_counts_as_cut(
    http: aiohttp.ClientSession,
) -> None:
    async with gateway_to(hang) as (silent, gateway):
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(post(http, gateway.url))
            await until(lambda: silent.calls == 1)
            await put_routes(gateway.admin, [])
            await fence(gateway.admin, ["m-0"])
        assert waiting.result() >= 500
        assert (await counts(gateway.admin)).cut == {"m-0": 1}


async def test_others_calls_go_on_when_one_replica_is_cut_off(http: aiohttp.ClientSession) -> None:
    async with gateway_to(says(b"{}")) as (_, gateway):
        await fence(gateway.admin, ["m-7"])
        assert await post(http, gateway.url) == 200


async def post(http: aiohttp.ClientSession, url: str) -> int:
    async with http.post(url + CHAT, json=BODY) as answer:
        await answer.read()
        return answer.status


async def test_a_replica_whose_node_is_back_gets_calls_again(http: aiohttp.ClientSession) -> None:
    async with gateway_to(says(b"{}")) as (one, gateway):
        await fence(gateway.admin, ["m-0"])
        assert await post(http, gateway.url) == 503
        await put_routes(gateway.admin, [Route(llm="m", replica="m-0", url=one.url)])
        assert await post(http, gateway.url) == 200


async def test_a_fence_may_be_raised_again_while_calls_still_end() -> None:
    fence = Fence()

    async def ends_slowly() -> None:
        async with fence.guard():
            try:
                await asyncio.Event().wait()
            finally:
                fence.raise_now()

    task = asyncio.create_task(ends_slowly())
    await asyncio.sleep(0)
    fence.raise_now()
    with pytest.raises(Fenced):
        await task
