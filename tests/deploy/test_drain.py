"""A replica is stopped once it has no call in flight, or says nothing of them."""

from __future__ import annotations

from aiohttp import web
from aiohttp.test_utils import TestServer

from scepsy.core.plan import Replica, Slice
from scepsy.deploy.local.state import RunningReplica
from scepsy.deploy.local.watch import drain

COUNTS = [(1, 0), (0, 2), (0, 0)]


def replica(url: str) -> RunningReplica:
    part = Slice(node="n", gpu=0, gpu_share=1.0, memory_share=1.0)
    placed = Replica(replica="m-0", llm="m", tp=1, slices=(part,))
    return RunningReplica(replica=placed, pid=1, born=1, url=url, log="")


async def test_it_waits_for_calls_that_run_or_queue() -> None:
    left = list(COUNTS)

    async def metrics(_: web.Request) -> web.Response:
        running, waiting = left.pop(0)
        return web.Response(
            text="# TYPE vllm:num_requests_running gauge\n"
            f'vllm:num_requests_running{{model_name="m"}} {running}.0\n'
            f'vllm:num_requests_waiting{{model_name="m"}} {waiting}.0\n'
            'vllm:request_success_total{model_name="m"} 7.0\n'
        )

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with TestServer(app) as server:
        await drain([replica(str(server.make_url("")).rstrip("/"))])
    assert left == []


async def test_one_that_is_never_idle_is_not_waited_for_for_ever() -> None:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text="llamacpp:requests_processing 1\n")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with TestServer(app) as server:
        await drain([replica(str(server.make_url("")).rstrip("/"))], within=0.2)


async def test_one_without_metrics_is_not_waited_for() -> None:
    async with TestServer(web.Application()) as server:
        await drain([replica(str(server.make_url("")).rstrip("/"))])
    await drain([replica("http://127.0.0.1:1")])
