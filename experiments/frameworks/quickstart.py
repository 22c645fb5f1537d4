"""Tries the quickstarts of docs/guides/frameworks.md as they stand there, with the real command."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from pathlib import Path

import envs
from scenarios import Failed

from scepsy.store import read_traces

MOST_LINES = 10


def blocks(page: str) -> dict[str, tuple[str, str]]:
    """For each heading `### NAME` that has a program below it: language and program."""
    found = re.findall(r"^### (\w+)\n.*?^```(\w+)\n(.*?)^```$", page, flags=re.S | re.M)
    return {name: (language, program) for name, language, program in found}


def length(program: str) -> int:
    """Lines of it, without blank ones."""
    return sum(bool(line.strip()) for line in program.splitlines())


async def tried(name: str, place: Path, upstream: str) -> str:
    """One sentence on how it went. Raises Failed where it did not."""
    language, program = blocks((envs.ROOT / "docs" / "guides" / "frameworks.md").read_text())[name]
    lines = length(program)
    if lines > MOST_LINES:
        raise Failed(f"{name}: its quickstart has {lines} lines")
    folder = envs.OUT / "quickstarts" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    node = language != "python"
    script = place / "quickstart.mjs" if node else folder / "ask.py"
    script.write_text(program)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scepsy", "trace", "--out", "traces", "--upstream", upstream,
        "--", "node" if node else str(place), str(script),
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, err = await child.communicate()
    if child.returncode:
        raise Failed(f"{name}: its quickstart failed:\n{err.decode()[-2000:]}")
    [run] = read_traces(folder / "traces").traces
    return f"{lines} lines, {len(run.calls)} calls in one run"
