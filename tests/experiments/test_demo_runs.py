"""Experiments on a demo take the runs that its plan was made for, and no others."""

from __future__ import annotations

import random
from pathlib import Path

from experiments.evaluation.demo_runs import planned_with

from builders import call
from scepsy.core.trace import RunMark
from scepsy.demo.settings import settings_for
from scepsy.drive.arrivals import RunArrival, schedule
from scepsy.store import TraceWriter

TAIL = 5


def test_runs_of_warm_up_and_tail_are_left_out(tmp_path: Path) -> None:
    settings = settings_for("emulated", tmp_path, tmp_path, 0)
    measured: set[str] = set()
    with TraceWriter(tmp_path / "traces") as writer:
        for program in settings.programs:
            rate, seconds = program.rate * settings.trace_load, settings.duration
            coming = schedule(
                rate, settings.warmup, seconds / settings.trace_load, (), random.Random(0)
            )
            tail = 0
            for number, arrival in enumerate(coming):
                tail += arrival.time > 0 and not arrival.measured
                if tail > TAIL:
                    break
                run = f"{program.workflow}-{number}"
                measured |= {run} if arrival.measured else set()
                record(writer, program.workflow, run, arrival)
    assert {run.run for run in planned_with(tmp_path)} == measured


def record(writer: TraceWriter, workflow: str, run: str, arrival: RunArrival) -> None:
    start = 1000.0 + arrival.time
    writer.append(call("m", start, start + 1, run=run, workflow=workflow, layer="url"))
    writer.mark(RunMark(run=run, workflow=workflow, start=start, end=start + 1))
