"""`scepsy.workflow`: the one line that says where a run begins and ends."""

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
    """Within `with workflow(name)` or `async with`, every HTTP call to the gateway says which run
    it belongs to. Many runs may be open at once, each in its own task or thread. As a decorator
    of a function or coroutine function, each of its calls is a run of its own.

    Covers httpx, httpx2 (so the `openai` client), aiohttp and requests; tasks, threads, thread
    pools, multiprocessing and process pools started inside, but no other child processes. The
    headers go to the hosts of OPENAI_BASE_URL and OPENAI_API_BASE (read on entry) and of `gateway`,
    and to no other; with none of them known, nothing is marked and nothing breaks. One object
    serves one `with`; inside another, it wins.

    Attributes:
        name: of the workflow.
        run: identifies this run; made up unless given.

    Raises:
        BadInput: the name or run cannot be sent in a header, or a generator is decorated.
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
    """Makes clients, threads and processes of this interpreter carry the current mark."""
    mark_clients(current_headers)
    carry_context_into_threads()
    carry_mark_into_processes()
