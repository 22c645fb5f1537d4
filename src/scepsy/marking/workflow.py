"""`scepsy.workflow`: marks the begin and the end of a run in an agent program, with one line."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import Token
from types import TracebackType
from typing import Any, TypeVar

from scepsy.errors import BadInput
from scepsy.marking.clients import mark_clients
from scepsy.marking.mark import Mark, check_name, current, current_headers, gateway_origins, new_run
from scepsy.marking.processes import carry_mark_into_processes
from scepsy.marking.threads import carry_context_into_threads

F = TypeVar("F", bound=Callable[..., Any])


class workflow:
    """Inside `with workflow(name)` or `async with workflow(name)`, every HTTP request to the
    gateway carries headers with the workflow and the run. Many runs may be open at once, each in
    its own task or thread. As a decorator of a function or coroutine function, it makes every call
    of that function a run of its own.

    It marks requests of httpx, httpx2 (and so the `openai` client), aiohttp and requests. Tasks,
    threads, thread pools, multiprocessing and process pools that start inside inherit the mark;
    other child processes do not. The headers are sent only to the hosts of OPENAI_BASE_URL and
    OPENAI_API_BASE (read on entry) and of `gateway`. If none of these is set, requests stay as they
    are. Use an object for one `with` only. The innermost of nested blocks counts.

    Attributes:
        name: the name of the workflow.
        run: the identifier of this run; a new one unless given.

    Raises:
        BadInput: the name or the run cannot be sent in a header, or a generator is decorated.
    """

    __slots__ = ("_gateway", "_mark", "_token", "name", "run")

    def __init__(self, name: str, run: str | None = None, *, gateway: str | None = None) -> None:
        self.name = check_name(name)
        self.run = new_run() if run is None else check_name(run)
        self._gateway = gateway
        self._mark = Mark(self.name, self.run, gateway_origins(gateway))
        self._token: Token[Mark | None] | None = None

    def __enter__(self) -> workflow:
        carry_marks()
        self._token = current.set(self._mark)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            current.reset(self._token)

    async def __aenter__(self) -> workflow:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise BadInput(
                f"{function.__qualname__} is a generator: use `with workflow(...)` in it"
            )
        name, gateway = self.name, self._gateway
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def marked_async(*args: Any, **options: Any) -> Any:
                with workflow(name, gateway=gateway):
                    return await function(*args, **options)

            return marked_async  # type: ignore[return-value]

        @functools.wraps(function)
        def marked(*args: Any, **options: Any) -> Any:
            with workflow(name, gateway=gateway):
                return function(*args, **options)

        return marked  # type: ignore[return-value]


def carry_marks() -> None:
    """Makes the HTTP clients, threads and processes of this interpreter carry the current mark."""
    mark_clients(current_headers)
    carry_context_into_threads()
    carry_mark_into_processes()
