"""The mark itself: which run the code that runs now belongs to, and which headers say so."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from contextvars import ContextVar, Token
from functools import lru_cache
from types import TracebackType
from urllib.parse import urlsplit

from scepsy.errors import BadInput
from scepsy.marking.clients import mark_clients
from scepsy.marking.threads import carry_context_into_threads

RUN_HEADER = "x-scepsy-run"
WORKFLOW_HEADER = "x-scepsy-workflow"

_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, int]


class workflow:
    """Within `with workflow(name)` or `async with`, every HTTP call to the gateway says which run
    it belongs to. Many runs may be open at once, each in its own task or thread.

    Covers httpx, httpx2 (so the `openai` client), aiohttp and requests; tasks, threads and thread
    pools started inside, but no child processes. The headers go to the hosts of OPENAI_BASE_URL and
    OPENAI_API_BASE (read on entry) and of `gateway`, and to no other; with none of them known,
    nothing is marked and nothing breaks. One object serves one `with`; inside another, it wins.

    Attributes:
        name: of the workflow.
        run: identifies this run; made up unless given.

    Raises:
        BadInput: the name or run cannot be sent in a header.
    """

    __slots__ = ("_headers", "_origins", "_token", "name", "run")

    def __init__(self, name: str, run: str | None = None, *, gateway: str | None = None) -> None:
        self.name = check_name(name)
        self.run = new_run() if run is None else check_name(run)
        self._headers = {WORKFLOW_HEADER: self.name, RUN_HEADER: self.run}
        urls = (gateway, os.environ.get("OPENAI_BASE_URL"), os.environ.get("OPENAI_API_BASE"))
        self._origins = frozenset(_origin(url) for url in urls if url)
        self._token: Token[workflow | None] | None = None

    def headers_for(self, host: str, port: int) -> Mapping[str, str]:
        """What a request to that host must carry."""
        return self._headers if (host, port) in self._origins else {}

    def __enter__(self) -> workflow:
        mark_clients(_headers)
        carry_context_into_threads()
        self._token = _current.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)

    async def __aenter__(self) -> workflow:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)


_current: ContextVar[workflow | None] = ContextVar("scepsy_run", default=None)


def new_run() -> str:
    """An identifier that no other run has."""
    return uuid.uuid4().hex


def check_name(name: str) -> str:
    """The name of a workflow or run, if it can travel in a header. Raises BadInput."""
    if not name or not name.isascii() or not name.isprintable() or name.strip() != name:
        raise BadInput(f"{name!r} cannot name a workflow or run: use printable ASCII characters")
    return name


def _headers(scheme: str, host: str | None, port: int | None) -> Mapping[str, str]:
    """What a request of the current context must carry; empty outside of a run."""
    current = _current.get()
    if current is None or host is None:
        return {}
    return current.headers_for(host, port or _PORTS.get(scheme, 0))


@lru_cache(maxsize=64)
def _origin(url: str) -> Origin:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError as error:
        raise BadInput(f"{url!r} is not the URL of a gateway: {error}") from None
    return parts.hostname or "", port or _PORTS.get(parts.scheme, 0)
