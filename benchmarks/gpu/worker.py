"""One measuring process: `worker describe cuda`, or `worker job JSON`.

Writes JSON lines. A job that counts a rate says {"record": "ready"} and waits for a line on
standard input, so that two of them begin together.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import asdict
from typing import Any, TextIO

import torch
from benchmarks.gpu import machine
from benchmarks.gpu.confine import take
from benchmarks.gpu.jobs import Job, Point, kind
from benchmarks.gpu.torch_steps import build, measure_rate, measure_steps, runner


def main() -> None:
    # Libraries print on standard output; ours must hold records and nothing else.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if sys.argv[1] == "describe":
        _write(out, machine.describe(sys.argv[2]))
        return
    setting = json.loads(sys.argv[2])
    points = tuple(Point(**point) for point in setting["job"].pop("points"))
    work(Job(**setting["job"], points=points), setting, out)


def work(job: Job, setting: dict[str, Any], out: TextIO) -> None:
    device = torch.device(setting["device"])
    if job.part == "vllm":
        from benchmarks.gpu.vllm_steps import measure

        measure(job, device.type, lambda record: _write(out, record))
        return
    share, stream = take(setting["mechanism"], job.share, setting["multiprocessors"])
    common = {"asked": job.share, "share": share, "mechanism": setting["mechanism"]}
    placed = torch.cuda.stream(stream) if stream is not None else contextlib.nullcontext()
    with torch.inference_mode(), placed:
        decoder, points = build(job, device)
        if not job.rate:
            measure_steps(decoder, points, job.seconds, lambda each: _write(out, each | common))
            return
        run = runner(decoder, points[0])
        run()
        _write(out, {"record": "ready"})
        sys.stdin.readline()
        rate = measure_rate(run, device, job.seconds)
    found = {"record": "rate", "llm": job.llm, "kind": kind(points[0]), "rate": rate}
    _write(out, {**found, **asdict(points[0]), **common})


def _write(out: TextIO, record: dict[str, Any]) -> None:
    out.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
