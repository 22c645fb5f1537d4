"""One run of a workflow's function: its calls are marked, and its time is limited."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from scepsy.marking import workflow

Function = Callable[..., Awaitable[object]]


async def run_once(
    name: str, run: str, function: Function, inputs: tuple[object, ...], seconds: float
) -> str | None:
    """Calls `function` as run `run` of workflow `name`. Returns why the run failed, or None.

    `inputs` holds at most one input: a mapping gives keyword arguments, any other input is the only
    argument. A run that takes longer than `seconds` is cancelled, and has failed.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit, workflow(name, run):
            await _call(function, inputs)
    except TimeoutError as error:
        return f"took longer than {seconds:g} s" if limit.expired() else _words(error)
    except asyncio.CancelledError as error:
        if _cancelled_from_outside():
            raise
        return _words(error)
    # The function is the user's: whatever it raises is the end of its run, not of ours.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return _words(error)
    return None


def _call(function: Function, inputs: tuple[object, ...]) -> Awaitable[object]:
    if inputs and isinstance(inputs[0], Mapping):
        return function(**cast(Mapping[str, object], inputs[0]))
    return function(*inputs)


def _cancelled_from_outside() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
