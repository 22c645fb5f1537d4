"""Runs a framework's program in the ways in which people run theirs: `host.py NAME MODE ...`

    one WORD            one run in this process                          (layer L0)
    serve PORT          a server: each POST is a run                     (layer L1)
    threads WORD...     runs at once in threads, `answer`                (L1 with --auto, L3)
    tasks WORD...       runs at once on one event loop, `aanswer`        (L1 with --auto, L3)
    turns WORD...       runs one after another                           (L3, L4)
    threads+ and tasks+ at once again, each in `with scepsy.workflow(NAME)`   (layer L2)

The programs know nothing of Scepsy: each has `answer(word)`, `async aanswer(word)`, or both.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).with_name("programs")))


def main() -> None:
    name, mode, *rest = sys.argv[1:]
    program = importlib.import_module(f"{name}_agent")
    match mode:
        case "one":
            one(program, rest[0])
        case "serve":
            serve(program, int(rest[0]))
        case "tasks" | "tasks+":
            asyncio.run(tasks(program, rest, name if mode.endswith("+") else None))
        case "turns":
            turns(program, rest)
        case "threads" | "threads+":
            threads(program, rest, name if mode.endswith("+") else None)
        case _:
            sys.exit(f"unknown mode {mode!r}")


def one(program: Any, word: str) -> None:
    if hasattr(program, "answer"):
        program.answer(word)
    else:
        asyncio.run(program.aanswer(word))


def turns(program: Any, words: Sequence[str]) -> None:
    if hasattr(program, "answer"):
        for word in words:
            program.answer(word)
    else:
        asyncio.run(_turns(program, words))


async def _turns(program: Any, words: Sequence[str]) -> None:
    for word in words:
        await program.aanswer(word)


async def tasks(program: Any, words: Sequence[str], workflow: str | None) -> None:
    async def run(word: str) -> None:
        with marked(workflow):
            await program.aanswer(word)

    await asyncio.gather(*map(run, words))


def threads(program: Any, words: Sequence[str], workflow: str | None) -> None:
    def run(word: str) -> None:
        with marked(workflow):
            program.answer(word)

    with ThreadPoolExecutor(len(words)) as pool:
        list(pool.map(run, words))


def marked(workflow: str | None) -> Any:
    if workflow is None:
        return nullcontext()
    import scepsy

    return scepsy.workflow(workflow)


def serve(program: Any, port: int) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def handle(request: Request) -> PlainTextResponse:
        word = (await request.body()).decode()
        if hasattr(program, "aanswer"):
            await program.aanswer(word)
        else:
            await run_in_threadpool(program.answer, word)
        return PlainTextResponse("done")

    app = Starlette(routes=[Route("/", handle, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
