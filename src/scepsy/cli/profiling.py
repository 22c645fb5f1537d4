"""Shows how far a profile is: a bar over all jobs, and one for each that runs."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from scepsy.cli.output import PlainConsole
from scepsy.curves.jobs import Job
from scepsy.profiler.setup import DONE, OnProgress


@contextmanager
def progress(todo: Sequence[Job], *, quiet: bool) -> Generator[OnProgress]:
    """Gives the callback that the profiler wants."""
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[now]}", markup=False),
        console=PlainConsole(stderr=True),
        disable=quiet,
    )
    overall = bars.add_task("engines", total=len(todo), now=f"0 of {len(todo)}")
    running: dict[str, TaskID] = {}
    done = 0

    def report(job: Job, what: str, left: float) -> None:
        nonlocal done
        name = str(job)
        if what == DONE:
            done += 1
            bars.update(overall, completed=done, now=f"{done} of {len(todo)}")
            if name in running:
                bars.remove_task(running.pop(name))
            return
        if name not in running:
            running[name] = bars.add_task(name, total=left, now="")
        total = next(task.total for task in bars.tasks if task.id == running[name]) or 0.0
        now = f"{what}, at most {left:.0f} s left"
        bars.update(running[name], completed=total - left, now=now)

    with bars:
        yield report
