"""One way of running one program: gateway, processes, and what came of it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import envs
from truth import Row, Untold, judge
from upstream import Bench

from scepsy.drive.children import environment, trace_children
from scepsy.engines import free_port
from scepsy.gateway.config import GatewayConfig
from scepsy.gateway.server import running
from scepsy.marking import new_run
from scepsy.store import read_traces

PROCESSES, RUNS = 3, 6
PATIENCE = 180.0
SYLLABLES = ("bra", "cel", "dor", "fim", "gul", "hov", "jat", "kes", "lup", "mor")


class Failed(Exception):
    """A program did not end well, or its calls prove nothing; says what it said."""


async def in_mode(name: str, mode: str, host: list[str], bench: Bench) -> Row:
    traces = envs.OUT / "traces" / name / mode.replace(" ", "-")
    shutil.rmtree(traces, ignore_errors=True)
    config = GatewayConfig(
        routes=bench.routes,
        upstream=bench.upstream,
        traces=str(traces),
        record_content=True,
        workflow=name,
    )
    given = words(PROCESSES if mode == "one" else RUNS)
    os.environ.update(WRITER=bench.writer, CRITIC=bench.critic, OPENAI_API_KEY="none")
    async with running(config) as gateway:
        if mode == "one":
            ended = await trace_children(
                [*host, "one"], gateway_url=gateway.url, workflow=name, inputs=given, jobs=PROCESSES
            )
            failed = [child.stderr_tail for child in ended if child.exit_code != 0]
        elif mode == "serve":
            env = environment(os.environ, gateway.url, name, None)
            failed = await served([*host, "serve"], env, given, traces)
        else:
            env = environment(os.environ, gateway.url, name, None)
            if not mode.endswith(" auto"):
                base = f"{gateway.url}/v1"
                env |= {"OPENAI_BASE_URL": base, "OPENAI_API_BASE": base, "SCEPSY_AUTO": ""}
                env |= {"OPENAI_CUSTOM_HEADERS": "", "PYTHONPATH": ""}
            failed = await ended_badly([*host, mode.removesuffix(" auto"), *given], env, traces)
    if failed:
        raise Failed(f"{name} {mode} failed:\n{failed[0]}")
    found = read_traces(traces)
    calls = [*found.unassigned, *(call for trace in found.traces for call in trace.calls)]
    try:
        return judge(name, envs.version(name), mode, given, calls)
    except Untold as error:
        raise Failed(f"{name} {mode}: {error}") from None


async def ended_badly(argv: Sequence[str], env: dict[str, str], folder: Path) -> list[str]:
    """What a program said that failed."""
    async with process(argv, env, folder / "output") as child:
        async with asyncio.timeout(PATIENCE):
            code = await child.wait()
    return [(folder / "output").read_text()[-2000:]] if code else []


async def served(
    argv: Sequence[str], env: dict[str, str], given: Sequence[str], folder: Path
) -> list[str]:
    """Starts a server and posts all words at once; what the answers that were bad said."""
    port = free_port()
    async with (
        asyncio.timeout(PATIENCE),
        process([*argv, str(port)], env, folder / "output") as child,
        aiohttp.ClientSession() as session,
    ):
        await listening(port, child)

        async def ask(word: str) -> str | None:
            async with session.post(f"http://127.0.0.1:{port}/", data=word) as answer:
                return None if answer.ok else await answer.text()

        said = await asyncio.gather(*map(ask, given))
    failed = [text for text in said if text is not None]
    return [(folder / "output").read_text()[-2000:]] if failed else []


@asynccontextmanager
async def process(
    argv: Sequence[str], env: dict[str, str], log: Path
) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(*argv, env=env, stdout=output, stderr=output)
    try:
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


async def listening(port: int, child: asyncio.subprocess.Process) -> None:
    while child.returncode is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise Failed("the server did not start; see its output")


def words(count: int) -> list[str]:
    """Of letters only, and found in no text."""
    digits = [str(int(new_run()[:12], 16) % 10**6).zfill(6) for _ in range(count)]
    return ["zq" + "".join(SYLLABLES[int(digit)] for digit in one) for one in digits]
