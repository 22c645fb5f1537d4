"""Opens a run at each call of the outermost known entry point, so that long-lived programs need no
change.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable, Mapping
from contextlib import aclosing, closing, contextmanager
from typing import Any, cast

from scepsy.marking.entries import ASGI, FRAMEWORKS, SERVERS
from scepsy.marking.importing import patch_modules
from scepsy.marking.mark import Mark, current, gateway_origins, new_run
from scepsy.marking.workflow import carry_marks


def open_runs_automatically(workflow: str) -> None:
    """Makes every known entry point begin a run of `workflow`, unless one is open already."""
    carry_marks()
    patches = {
        module: functools.partial(_patch, classes, workflow)
        for module, classes in {**FRAMEWORKS, **SERVERS}.items()
    }
    patch_modules({**patches, ASGI: functools.partial(_patch_asgi, workflow)})


def _patch(classes: Mapping[str, Iterable[str]], workflow: str, module: Any) -> None:
    for name, methods in classes.items():
        # Releases of frameworks move classes and methods; a missing one is skipped.
        owner = getattr(module, name, None)
        for method in methods:
            # As it is written in the class: getattr would bind a class method.
            function = None if owner is None else inspect.getattr_static(owner, method, None)
            if isinstance(function, classmethod):
                entered = classmethod(_entering(cast(Any, function).__func__, workflow))
                setattr(owner, method, entered)
            elif inspect.isfunction(function):
                setattr(owner, method, _entering(function, workflow))


def _patch_asgi(workflow: str, module: Any) -> None:
    call = module.Starlette.__call__

    # Servers distinguish an application from a factory by its signature, so `wraps` keeps it.
    @functools.wraps(call)
    async def entered(app: Any, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        # Tasks that begin in the application's startup outlive every request.
        begins = scope.get("type") != "lifespan"
        with _marked(_mark(workflow) if begins else None):
            await call(app, scope, receive, send)

    module.Starlette.__call__ = entered


def _entering(function: Callable[..., Any], workflow: str) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def entered_async(*args: Any, **options: Any) -> Any:
            with _marked(_mark(workflow)):
                return await function(*args, **options)

        return entered_async

    @functools.wraps(function)
    def entered(*args: Any, **options: Any) -> Any:
        mark = _mark(workflow)
        with _marked(mark):
            result = function(*args, **options)
        if mark is None:
            return result
        if inspect.iscoroutine(result):
            return _awaited(cast(Coroutine[Any, Any, Any], result), mark)
        if inspect.isasyncgen(result):
            return _async_steps(result, mark)
        return _steps(result, mark) if inspect.isgenerator(result) else result

    return entered


def _mark(workflow: str) -> Mark | None:
    """A new run's; None within a run."""
    if current.get() is not None:
        return None
    return Mark(workflow, new_run(), gateway_origins(), automatic=True)


@contextmanager
def _marked(mark: Mark | None) -> Generator[None]:
    if mark is None:
        yield
        return
    token = current.set(mark)
    try:
        yield
    finally:
        current.reset(token)


async def _awaited(work: Coroutine[Any, Any, Any], mark: Mark) -> Any:
    with _marked(mark):
        return await work


def _steps(work: Generator[Any, Any, Any], mark: Mark) -> Generator[Any, Any, Any]:
    """Each step is marked; the code that iterates is not."""
    with closing(work):
        while True:
            with _marked(mark):
                try:
                    step = next(work)
                except StopIteration as end:
                    return end.value
            yield step


async def _async_steps(work: AsyncGenerator[Any, Any], mark: Mark) -> AsyncGenerator[Any, Any]:
    async with aclosing(work):
        while True:
            with _marked(mark):
                try:
                    step = await anext(work)
                except StopAsyncIteration:
                    return
            yield step
