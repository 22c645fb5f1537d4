"""Carries the mark of a run into the jobs of child processes and process pools.

A child started by `spawn` has no context. A pool's child started by `fork` keeps the context in
which it was started, so the calls of later runs would carry the mark of the first run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

from scepsy.marking.clients import mark_clients
from scepsy.marking.importing import patch_modules
from scepsy.marking.mark import Mark, current, current_headers
from scepsy.marking.threads import carry_context_into_threads

_P = ParamSpec("_P")
_T = TypeVar("_T")


def carry_mark_into_processes() -> None:
    """Patches multiprocessing's Process and Pool and ProcessPoolExecutor, once. Cheap to call
    again. A Process whose `run` is overridden keeps its context by `fork` only.
    """
    patch_modules(
        {
            "multiprocessing.process": _patch_process,
            "multiprocessing.pool": _patch_pool,
            "concurrent.futures.process": _patch_executor,
        }
    )


def run_marked(
    mark: Mark | None, job: Callable[_P, _T], /, *args: _P.args, **options: _P.kwargs
) -> _T:
    """Executes `job` in this process as part of the run; outside of any run if `mark` is None."""
    if mark is not None:
        mark_clients(current_headers)
        carry_context_into_threads()
        carry_mark_into_processes()
    token = current.set(mark)
    try:
        return job(*args, **options)
    finally:
        current.reset(token)


def _marked(job: Callable[..., _T]) -> Callable[..., _T]:
    return functools.partial(run_marked, current.get(), job)


def _patch_process(module: Any) -> None:
    start = module.BaseProcess.start

    @functools.wraps(start)
    def marked_start(process: Any) -> None:
        # `run` calls the target, and it is the only part that is pickled for the child.
        target = process._target  # noqa: SLF001
        if target is not None and current.get() is not None:
            process._target = _marked(target)  # noqa: SLF001
        start(process)

    module.BaseProcess.start = marked_start


def _patch_pool(module: Any) -> None:
    for name in ("apply_async", "_map_async", "imap", "imap_unordered"):
        setattr(module.Pool, name, _marking_job(getattr(module.Pool, name)))


def _marking_job(method: Callable[..., _T]) -> Callable[..., _T]:
    @functools.wraps(method)
    def marked(pool: object, func: Callable[..., object], *args: Any, **options: Any) -> _T:
        return method(pool, _marked(func), *args, **options)

    return marked


def _patch_executor(module: Any) -> None:
    submit = module.ProcessPoolExecutor.submit

    @functools.wraps(submit)
    def marked_submit(pool: Any, job: Callable[..., _T], /, *args: Any, **kw: Any) -> Future[_T]:
        return submit(pool, _marked(job), *args, **kw)

    module.ProcessPoolExecutor.submit = marked_submit
