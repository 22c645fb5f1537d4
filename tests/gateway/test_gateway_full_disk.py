"""A disk without room costs records, which are counted, and never answers."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import aiohttp
from gateway_peers import CHAT, all_calls, completion, peer, says, send, until
from test_gateway_process import gateway_process

from scepsy.gateway.access.admin_access import read_access
from scepsy.gateway.config import AdminConfig, GatewayConfig, Route

ROOM = 4000
"""Bytes that a file of the gateway may have: a few calls."""

CALLS = 12


async def test_a_full_disk_costs_no_answer_and_status_tells_what_waits(
    http: aiohttp.ClientSession, tmp_path: Path
):
    async with peer(says(completion())) as engine:
        config = GatewayConfig(
            routes=(Route(llm="m", replica="m-0", url=engine.url),),
            traces=str(tmp_path / "t"),
            admin=AdminConfig(file=str(tmp_path / "admin.json")),
        )
        with gateway_process(tmp_path, config) as (url, child):
            admin = read_access(tmp_path / "admin.json")
            assert admin is not None

            async def ask(path: str) -> bytes:
                return (await send(http, admin.url + path, b"", "GET", **admin.headers)).body

            limits = resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (ROOM, -1))
            for number in range(CALLS):
                back = await send(http, f"{url}/w/w/r{number}{CHAT}", {"model": "m"})
                assert (back.status, back.body) == (200, completion())

            async def status() -> dict[str, int]:
                return json.loads(await ask("/scepsy/status"))

            seen = await status()
            while not (seen["recorded"] and seen["waiting"]):
                seen = await status()
            assert (seen["recorded"] + seen["waiting"], seen["unwritten"]) == (CALLS, 0)
            text = (await ask("/metrics")).decode()
            assert f"calls_waiting_to_be_recorded{{}} {seen['waiting']}" in text
            assert f"calls_recorded_total{{}} {seen['recorded']}" in text
            assert len(all_calls(tmp_path / "t")) == seen["recorded"]
            resource.prlimit(child.pid, resource.RLIMIT_FSIZE, limits)
            await until(lambda: len(all_calls(tmp_path / "t")) == CALLS)
            child.terminate()
            assert child.wait(10) == 0
            assert child.stderr is not None
            said = child.stderr.read()
            assert said.count("calls cannot be recorded: File too large") == 1
            assert said.count("calls are recorded again") == 1
