"""`make frameworks`: real frameworks, unmodified, several runs at once, through the gateway; then
compares what the gateway recorded with what is true, and writes docs/frameworks.json and the table
of docs/frameworks.md.

    python experiments/frameworks/run.py [NAME...] [--keep] [--url URL --writer LLM --critic LLM]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import envs
import msgspec
import table
from truth import Row, Untold, judge

from scepsy.core.llm import LlmSpec
from scepsy.drive.children import environment, trace_children
from scepsy.engines import Launch, free_port, start, stop
from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.server import running
from scepsy.marking import new_run
from scepsy.store import read_traces

PROCESSES, RUNS = 3, 6
PATIENCE = 180.0
SPEED = 20.0
SYLLABLES = ("bra", "cel", "dor", "fim", "gul", "hov", "jat", "kes", "lup", "mor")


@dataclass(frozen=True, slots=True)
class Bench:
    """Where calls go on to, and the LLMs there."""

    routes: tuple[Route, ...]
    upstream: str | None
    writer: str
    critic: str


def words(count: int) -> list[str]:
    """Of letters only, and found in no text."""
    digits = [str(int(new_run()[:12], 16) % 10**6).zfill(6) for _ in range(count)]
    return ["zq" + "".join(SYLLABLES[int(digit)] for digit in one) for one in digits]


async def measure(name: str, bench: Bench) -> list[Row]:
    """A row per way of running the framework's program."""
    place = envs.build(name)
    host = [str(place), str(envs.HERE / "host.py"), name]
    modes = ["one", "serve", "tasks auto", "threads auto", "tasks+", "threads+", "tasks", "threads"]
    program = (envs.HERE / "programs" / f"{name}_agent.py").with_suffix(".py")
    if name == envs.NODE:
        script = shutil.copy(envs.HERE / "programs" / f"{name}_agent.mjs", place)
        host, modes = ["node", str(script)], ["one", "tasks+", "tasks"]
    else:
        text = program.read_text()
        blocking, concurrent = "\ndef answer(" in text, "\nasync def aanswer(" in text
        if not blocking:
            modes = [mode for mode in modes if "threads" not in mode]
        if not concurrent:
            modes = [mode for mode in modes if "tasks" not in mode]
    rows: list[Row] = []
    for mode in modes:
        began = time.monotonic()
        row = await in_mode(name, mode, host, bench)
        print(f"  {mode}: {table.sentence(row)} ({time.monotonic() - began:.0f} s)", flush=True)
        rows.append(row)
    return rows


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
            auto = mode.endswith(" auto")
            plain = {"OPENAI_BASE_URL": f"{gateway.url}/v1", "OPENAI_API_BASE": f"{gateway.url}/v1"}
            quiet = environment(os.environ, gateway.url, name, None)
            env = quiet if auto else {**quiet, **plain, "SCEPSY_AUTO": ""}
            env |= {} if auto else {"OPENAI_CUSTOM_HEADERS": "", "PYTHONPATH": ""}
            failed = await ended_badly([*host, mode.removesuffix(" auto"), *given], env, traces)
    if failed:
        raise SystemExit(f"{name} {mode} failed:\n{failed[0]}")
    found = read_traces(traces)
    calls = [*found.unassigned, *(call for trace in found.traces for call in trace.calls)]
    try:
        return judge(name, envs.version(name), mode, given, calls)
    except Untold as error:
        raise SystemExit(f"{name} {mode}: {error}") from None


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
    async with process([*argv, str(port)], env, folder / "output") as child:
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
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
    raise SystemExit("the server did not start; see its output")


@asynccontextmanager
async def emulated() -> AsyncGenerator[Bench, None]:
    """Two emulated engines, `writer` and `critic`."""
    engines = []
    routes: list[Route] = []
    try:
        for name in ("writer", "critic"):
            spec = LlmSpec(
                name=name, parameters=4e9, layers=36, hidden=2560, kv_heads=8, head_dim=128
            )
            port = free_port()
            flags = ["--llm-json", msgspec.json.encode(spec).decode(), "--port", str(port)]
            flags += ["--time-scale", str(SPEED), "--exit-with-parent", str(os.getpid())]
            argv = (sys.executable, "-m", "scepsy.engines.emulated", *flags)
            launch = Launch(argv, f"http://127.0.0.1:{port}")
            log = envs.OUT / "engines" / f"{name}.log"
            engines.append(await start(launch, log_path=log, name=name))
            routes.append(Route(llm=name, replica=name, url=launch.url))
        yield Bench(tuple(routes), None, "writer", "critic")
    finally:
        for engine in engines:
            await stop(engine)


@asynccontextmanager
async def elsewhere(url: str, writer: str, critic: str) -> AsyncGenerator[Bench, None]:
    """Engines that run already."""
    yield Bench((), url, writer, critic)


async def main() -> None:
    options = parsed()
    chosen = options.names or envs.names()
    if unknown := set(chosen) - set(envs.names()):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(envs.names())}")
    envs.wheel()
    real = options.url is not None
    place = elsewhere(options.url, options.writer, options.critic) if real else emulated()
    rows: list[Row] = []
    async with place as bench:
        for name in chosen:
            began = time.monotonic()
            print(f"{name} {envs.version(name)}", flush=True)
            rows += await measure(name, bench)
            if not options.keep:
                envs.remove(name)
            print(f"  took {time.monotonic() - began:.0f} s", flush=True)
    whole = not options.names and not real
    table.write(rows, envs.ROOT / "docs" if whole else envs.OUT, real=real)
    wrong = table.wrong(rows)
    sys.exit(f"misattributed or not exact: {wrong}" if wrong else 0)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="frameworks; all by default")
    parser.add_argument("--keep", action="store_true", default=os.environ.get("KEEP") == "1")
    parser.add_argument("--url", help="an OpenAI server (vLLM, ...) instead of emulated engines")
    parser.add_argument("--writer", default="writer", help="the LLM there that writes")
    parser.add_argument("--critic", default="critic", help="the LLM there that reviews")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main())
