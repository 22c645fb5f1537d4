"""n, p and time shares of the example programs, on emulated engines.

    out/examples/venv/bin/python experiments/examples.py      (make examples sets that up first)

Starts one replica of each LLM of examples/llms.all.toml, runs each program ten times as child
processes, unmodified, and writes examples.json and examples.md into docs/evaluation. The traces
stay in out/examples/traces.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scepsy.core.trace import Trace
from scepsy.demo.manual_plans import one_of_each
from scepsy.deploy import LocalBackend
from scepsy.drive.children import trace_children
from scepsy.drive.inputs import read_lines
from scepsy.engines import EngineOptions
from scepsy.store import read_cluster, read_llms, read_traces
from scepsy.traces.summarize import summarize

ROOT = Path(__file__).parent.parent
EXAMPLES, OUT, DOCS = ROOT / "examples", ROOT / "out" / "examples", ROOT / "docs" / "evaluation"
RUNS, JOBS = 10, 2

PAGE = """# The example programs, measured

n, p and time shares of the six programs of [examples/](../guides/examples.md), on emulated engines.
CV is the coefficient of variation over the runs.

{table}

`make examples` sets up `out/examples/venv` with the frameworks and runs `experiments/examples.py`:
{runs} runs of each program, {jobs} at once, on one emulated replica of each LLM of
`examples/llms.all.toml`; {machine}. The runs can be drawn with `scepsy traces out/examples/traces`.
The same figures as data: [examples.json](examples.json).

The emulated LLMs give valid but random answers: how often a loop is repeated is chance, within the
bounds of each program, and not what a real LLM would do. The table shows the shapes of the
programs; for a plan, trace your own programs with your own LLMs. Where the CV of a time share is
not below that of the latency, planning on the mean share is no more reliable than planning on the
mean latency. This is so for several small shares.
"""
HEAD = (
    "program",
    "framework",
    "calls per run: least, mean, most",
    "latency, its CV",
    "LLM",
    "n",
    "p",
    "time share",
    "its CV",
)


@dataclass(frozen=True, slots=True)
class Example:
    program: str
    framework: str
    inputs: str
    prepare: tuple[str, ...] = ()


PROGRAMS = (
    Example("beam_search", "openai, asyncio", "problems.txt"),
    Example("rag", "openai, asyncio", "questions.txt", ("--index",)),
    Example("text_to_sql", "LangGraph", "shop_questions.txt"),
    Example("debate", "AutoGen", "problems.txt"),
    Example("deep_research", "OpenAI Agents SDK", "research.txt"),
    Example("map_reduce", "LangGraph", "modules.txt"),
)


async def measure() -> list[Trace]:
    """Raises SystemExit where a run fails."""
    shutil.rmtree(OUT / "traces", ignore_errors=True)
    shutil.rmtree(OUT / "state", ignore_errors=True)
    os.environ["RAG_INDEX"] = str(OUT / "rag-index")
    llms, cluster = read_llms(EXAMPLES / "llms.all.toml"), read_cluster(EXAMPLES / "cluster.toml")
    backend = LocalBackend(OUT / "state", EngineOptions(exit_with_parent=True))
    plan = one_of_each(llms, cluster, ())
    deployed = await backend.apply(plan, name="examples", traces=OUT / "traces")
    try:
        for example in PROGRAMS:
            await run_all(example, deployed.url)
    finally:
        await backend.down("examples")
    names = {example.program for example in PROGRAMS}
    return [one for one in read_traces(OUT / "traces").traces if one.workflow in names]


async def run_all(example: Example, url: str) -> None:
    begun = time.monotonic()
    command = (sys.executable, str(EXAMPLES / f"{example.program}.py"))
    inputs = read_lines(EXAMPLES / "data" / example.inputs)[:RUNS]
    if example.prepare:
        prepare = (*command, *example.prepare)
        await trace_children(prepare, gateway_url=url, workflow="preparation")
    ended = await trace_children(
        command, gateway_url=url, workflow=example.program, inputs=inputs, jobs=JOBS
    )
    failed = [one for one in ended if one.exit_code != 0]
    if failed:
        raise SystemExit(f"{example.program}: {failed[0].input!r}: {failed[0].stderr_tail}")
    print(f"{example.program}: {RUNS} runs in {time.monotonic() - begun:.0f} s", flush=True)


def row(example: Example, traces: Sequence[Trace]) -> dict[str, Any]:
    own = [trace for trace in traces if trace.workflow == example.program]
    calls = [len(trace.calls) for trace in own]
    [demand] = summarize(own)
    shares = {one.llm: one.time_share for one in demand.llms}
    return {
        "program": example.program,
        "framework": example.framework,
        "runs": len(own),
        "failed_calls": sum(not call.ok for trace in own for call in trace.calls),
        "calls": {"min": min(calls), "mean": statistics.fmean(calls), "max": max(calls)},
        "latency": {"mean": demand.latency.mean, "cv": demand.latency.cv},
        "llms": [
            {
                "llm": one.llm,
                "n": one.calls,
                "p": one.parallelism,
                "time_share": shares[one.llm].mean,
                "time_share_cv": shares[one.llm].cv,
            }
            for one in sorted(demand.llms, key=lambda one: -shares[one.llm].mean)
        ],
    }


def page(rows: Sequence[dict[str, Any]], machine: str) -> str:
    table = [HEAD, ("---",) * len(HEAD), *(line for one in rows for line in lines(one))]
    text = "\n".join("| " + " | ".join(line) + " |" for line in table)
    return PAGE.format(table=text, machine=machine, runs=RUNS, jobs=JOBS)


def lines(one: dict[str, Any]) -> list[tuple[str, ...]]:
    """One for each LLM; what is the program's stands in the first."""
    calls, latency = one["calls"], one["latency"]
    first = (
        f"`examples/{one['program']}.py`",
        one["framework"],
        f"{calls['min']}, {calls['mean']:.1f}, {calls['max']}",
        f"{latency['mean']:.1f} s, {latency['cv']:.2f}",
    )
    blank = ("",) * len(first)
    return [
        (
            *(blank if number else first),
            llm["llm"],
            f"{llm['n']:.1f}",
            f"{llm['p']:.2f}",
            f"{llm['time_share']:.1%}",
            f"{llm['time_share_cv']:.2f}",
        )
        for number, llm in enumerate(one["llms"])
    ]


def write(rows: Sequence[dict[str, Any]]) -> None:
    day, cores = time.strftime("%Y-%m-%d"), os.cpu_count()
    machine = f"{cores} cores, {platform.machine()}, Python {platform.python_version()}, {day}"
    found = {"machine": machine, "runs": RUNS, "jobs": JOBS, "programs": rows}
    (DOCS / "examples.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (DOCS / "examples.md").write_text(page(rows, machine), encoding="utf-8")


if __name__ == "__main__":
    traces = asyncio.run(measure())
    write([row(example, traces) for example in PROGRAMS])
