"""Measures one GPU (or, to try the scripts, this CPU) and writes DIR/raw.jsonl.

Jobs that are in the file already are not run again; when the time is over, the rest is left to
the next call. See docs/guides/measure-a-gpu.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.gpu.jobs import CPU, GPU, GPU_QUICK, PARTS, Job, jobs
from benchmarks.gpu.processes import JobFailed, describe, run
from benchmarks.gpu.sharing import sharing


def main() -> None:
    arguments = _arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    raw = arguments.out / "raw.jsonl"
    log = arguments.out / "log.txt"
    start = time.monotonic()
    machine = describe(arguments.device, log)
    on_gpu = GPU_QUICK if arguments.quick else GPU
    sizes = CPU if arguments.device == "cpu" else on_gpu
    done = _done(raw)
    left: list[Job] = []
    with sharing(machine) as shared:
        _append(raw, [{**machine, "sharing": shared.mechanism, "why": shared.note}])
        print(f"{machine['name']}: shares by {shared.mechanism}. {shared.note}")
        for job in jobs(sizes, tuple(arguments.parts or PARTS)):
            if job.key in done:
                continue
            if time.monotonic() - start > arguments.seconds:
                left.append(job)
                continue
            reason = _impossible(job, shared.mechanism)
            try:
                records = run(job, machine, shared, log) if not reason else []
            except JobFailed as error:
                reason = str(error)
            if reason:
                records = [{"record": "skipped", "reason": reason}]
            _append(raw, [{"job": job.key, **record} for record in records])
            print(f"{job.key}: {reason or f'{len(records) - 1} records'}", flush=True)
    if left:
        print(f"{len(left)} jobs are left; the same command goes on with them")
    else:
        print(f"complete; now: python -m benchmarks.gpu.fit {arguments.out}")


def _impossible(job: Job, mechanism: str) -> str | None:
    if job.part == "vllm" and find_spec("vllm") is None:
        return "vllm is not installed"
    if job.neighbour and mechanism == "green":
        return "green contexts do not share a GPU between processes"
    return None


def _done(raw: Path) -> set[str]:
    """Jobs that are over. One that was skipped is tried again: the reason may be gone."""
    if not raw.exists():
        return set()
    records = [json.loads(line) for line in raw.read_text().splitlines()]
    return {record["job"] for record in records if record["record"] == "done"}


def _append(raw: Path, records: Iterable[dict[str, Any]]) -> None:
    with raw.open("a") as file:
        file.write("".join(json.dumps(record) + "\n" for record in records))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument(
        "--part", action="append", choices=PARTS, dest="parts", help="again and again; default all"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="fewer shares, shorter runs")
    parser.add_argument(
        "--seconds", type=float, default=480.0, help="start no job after these (default 480)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
