"""Jobs on a few processes: results in the order of the jobs, progress while they run."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import NamedTuple, TypeVar

J = TypeVar("J")
R = TypeVar("R")
PROCESSES = 2


class Done(NamedTuple):
    """A job's result, and what it took in CPU seconds."""

    result: object
    cpu: float


def run(title: str, work: Callable[[J], R], jobs: Sequence[J]) -> list[R]:
    """`work` of every job. Costly jobs should come first, so that the last ones are short."""
    began, cpu = time.perf_counter(), 0.0
    found: dict[int, object] = {}
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("fork")) as pool:
        waiting = {pool.submit(_timed, work, job): index for index, job in enumerate(jobs)}
        for future in as_completed(waiting):
            index = waiting[future]
            done = future.result()
            found[index] = done.result
            cpu += done.cpu
            wall = time.perf_counter() - began
            text = f"[{len(found)}/{len(jobs)}] {wall:5.0f} s  {title}: {jobs[index]!s}"
            print(f"{text} took {done.cpu:.1f} s", file=sys.stderr, flush=True)
    wall = time.perf_counter() - began
    print(f"{title}: {cpu:.0f} CPU seconds in {wall:.0f} s", file=sys.stderr, flush=True)
    return [found[index] for index in range(len(jobs))]  # pyright: ignore[reportReturnType]


def _timed(work: Callable[[J], R], job: J) -> Done:
    began = time.process_time()
    result = work(job)
    return Done(result, time.process_time() - began)
