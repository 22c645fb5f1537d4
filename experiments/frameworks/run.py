"""`make frameworks`: real frameworks, unmodified, several runs at once, through the gateway; then
compares what the gateway recorded with the truth, writes docs/evaluation/frameworks.json (with
--url, docs/evaluation/frameworks-vllm.json) and the tables of docs/evaluation/frameworks.md.

    python experiments/frameworks/run.py [NAME...] [--keep] [--url URL --writer LLM --critic LLM]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import time
from itertools import zip_longest

import envs
import quickstart
import table
import unlabelled
from scenarios import Failed, in_mode
from truth import Row
from upstream import Bench, elsewhere, emulated

AT_ONCE = 2
"""Modes that are tried at the same time; each has its own gateway."""


async def main() -> None:
    options = parsed()
    chosen = options.names or envs.names()
    if unknown := set(chosen) - set(envs.names()):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(envs.names())}")
    envs.wheel()
    real = options.url is not None
    place = elsewhere(options.url, options.writer, options.critic) if real else emulated()
    rows: list[Row] = []
    failed: list[str] = []
    async with place as bench:
        ahead = installed(chosen[0])
        for name, following in zip_longest(chosen, chosen[1:]):
            await ahead
            if following is not None:
                ahead = installed(following)
            began = time.monotonic()
            print(f"{name} {envs.version(name)}", flush=True)
            try:
                rows += await measure(name, bench)
                if bench.routes:
                    said = await quickstart.tried(name, envs.build(name), bench.routes[0].url)
                    print(f"  quickstart: {said}", flush=True)
            except Failed as error:
                failed.append(name)
                print(f"  {error}", flush=True)
            if not options.keep:
                envs.remove(name)
            print(f"  took {time.monotonic() - began:.0f} s", flush=True)
    whole = (real or not options.names) and not failed
    table.write(rows, envs.ROOT / "docs" / "evaluation" if whole else envs.OUT, real=real)
    if not real and not failed:
        inferred = [row for name in chosen for row in unlabelled.rows(name)]
        unlabelled.write(inferred, envs.ROOT / "docs" / "evaluation" if whole else envs.OUT)
    wrong = table.wrong(rows)
    if wrong or failed:
        sys.exit(
            f"failed: {', '.join(failed) or 'none'}; misattributed or not exact: {wrong or 'none'}"
        )


def installed(name: str) -> asyncio.Task[object]:
    """Installs the next framework while this one runs."""
    return asyncio.create_task(asyncio.to_thread(envs.build, name))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="frameworks; all by default")
    parser.add_argument("--keep", action="store_true", default=os.environ.get("KEEP") == "1")
    parser.add_argument("--url", help="an OpenAI server (vLLM, ...) instead of emulated engines")
    parser.add_argument("--writer", default="writer", help="the LLM there that writes")
    parser.add_argument("--critic", default="critic", help="the LLM there that reviews")
    return parser.parse_args()


async def measure(name: str, bench: Bench) -> list[Row]:
    """A row per way of running the framework's program."""
    place = envs.build(name)
    host = [str(place), str(envs.HERE / "host.py"), name]
    modes = ["one", "serve", "tasks+", "threads+"]
    if name == envs.NODE:
        script = shutil.copy(envs.HERE / "programs" / f"{name}_agent.mjs", place)
        host, modes = ["node", str(script)], ["one", "tasks+", "tasks"]
    else:
        text = (envs.HERE / "programs" / f"{name}_agent.py").read_text()
        if "\ndef answer(" not in text or "\nTHREADS = False" in text:
            modes.remove("threads+")
        if "\nasync def aanswer(" not in text:
            modes.remove("tasks+")
        at_once = modes[2].removesuffix("+")
        modes += [f"{at_once} auto", at_once, "turns"]
    at_once = asyncio.Semaphore(AT_ONCE)

    async def measured(mode: str) -> Row:
        async with at_once:
            began = time.monotonic()
            row = await in_mode(name, mode, host, bench)
            print(f"  {mode}: {table.sentence(row)} ({time.monotonic() - began:.0f} s)", flush=True)
            return row

    return await asyncio.gather(*map(measured, modes))


if __name__ == "__main__":
    asyncio.run(main())
