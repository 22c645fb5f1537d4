"""Starts measuring processes, lets pairs begin together, and notes the clocks meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.gpu.jobs import Job, kind
from benchmarks.gpu.machine import LOAD, nvidia_smi
from benchmarks.gpu.sharing import Sharing

ROOT = Path(__file__).parents[2]
TIMEOUT = 400.0
"""Seconds after which a process is given up."""


class JobFailed(Exception):
    """A measuring process died or hung; the text has its last words."""


def describe(device: str, log: Path) -> dict[str, Any]:
    with _worker(["describe", device], {}, log) as process:
        return _finish([process], None, log)[0][0]


def run(job: Job, machine: dict[str, Any], shared: Sharing, log: Path) -> list[dict[str, Any]]:
    """The records of a job, the last of them "done" with its clocks. Raises JobFailed."""
    start = time.monotonic()
    members = [job, job.neighbour] if job.neighbour else [job]
    with ExitStack() as stack:
        processes: list[subprocess.Popen[str]] = []
        for member in members:
            mechanism = None if member.part in ("steps", "vllm") else shared.mechanism
            environment = shared.client(member.share) if mechanism else {}
            setting = json.dumps(
                {
                    "job": member.as_json(),
                    "device": machine["device"],
                    "mechanism": mechanism,
                    "multiprocessors": machine["multiprocessors"],
                }
            )
            process = stack.enter_context(_worker(["job", setting], environment, log))
            processes.append(process)
            if member.rate and not process.stdout.readline():  # type: ignore[union-attr]
                _finish(processes[-1:], None, log)
        if job.rate:
            for process in processes:
                process.stdin.write("go\n")  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
        clocks: list[dict[str, str]] = []
        found = _finish(processes, (machine.get("uuid"), clocks), log)
    records = found[0]
    if job.neighbour:
        beside = {
            "neighbour": kind(job.neighbour.points[0]),
            "neighbour_share": found[1][0]["share"],
            "neighbour_rate": found[1][0]["rate"],
        }
        records = [{**record, **beside} for record in records]
    seconds = round(time.monotonic() - start, 1)
    return [*records, {"record": "done", "seconds": seconds, "clocks": _medians(clocks)}]


@contextmanager
def _worker(
    arguments: list[str], environment: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[str]]:
    with log.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.gpu.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **environment},
            cwd=ROOT,
            text=True,
        )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _finish(
    processes: list[subprocess.Popen[str]],
    watched: tuple[str | None, list[dict[str, str]]] | None,
    log: Path,
) -> list[list[dict[str, Any]]]:
    """What each process wrote. Their output fits in a pipe, so nobody has to read meanwhile."""
    deadline = time.monotonic() + TIMEOUT
    while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
        if watched and watched[0]:
            watched[1].append(nvidia_smi(LOAD, watched[0]))
        time.sleep(0.2)
    if any(process.poll() != 0 for process in processes):
        hung = any(process.poll() is None for process in processes)
        last = log.read_text().rstrip().rsplit("\n", 1)[-1]
        raise JobFailed(f"no end after {TIMEOUT:g} s" if hung else last)
    return [
        [json.loads(line) for line in process.stdout.read().splitlines()]  # type: ignore[union-attr]
        for process in processes
    ]


def _medians(samples: list[dict[str, str]]) -> dict[str, float]:
    """Of what nvidia-smi said in the second half, when the work was on."""
    late = [sample for sample in samples[len(samples) // 2 :] if sample]
    return {
        name: median(float(sample[name]) for sample in late)
        for name in LOAD
        if late and all(_number(sample.get(name, "")) for sample in late)
    }


def _number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()
