"""The mark: the run that the current code belongs to, and the headers that carry it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from scepsy.errors import BadInput

RUN_HEADER = "x-scepsy-run"
WORKFLOW_HEADER = "x-scepsy-workflow"
OPENED_HEADER = "x-scepsy-opened"

_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Mark:
    """A run of a workflow, and the hosts that may know of it. It can be pickled.

    Attributes:
        automatic: whether the run was opened automatically, where the outermost call of a
            framework or a request to a server began.
    """

    workflow: str
    run: str
    origins: frozenset[Origin]
    automatic: bool = False

    def headers(self) -> Mapping[str, str]:
        headers = {WORKFLOW_HEADER: self.workflow, RUN_HEADER: self.run}
        return {**headers, OPENED_HEADER: "auto"} if self.automatic else headers


current: ContextVar[Mark | None] = ContextVar("scepsy_mark", default=None)


def current_headers(scheme: str, host: str | None, port: int | None) -> Mapping[str, str]:
    """The headers for a request from the current context; empty outside of a run."""
    mark = current.get()
    if mark is None or (host, port or _PORTS.get(scheme, 0)) not in mark.origins:
        return {}
    return mark.headers()


def gateway_origins(gateway: str | None = None) -> frozenset[Origin]:
    """The hosts of `gateway` and of the environment's OPENAI_BASE_URL and OPENAI_API_BASE.

    Raises BadInput for what is no URL.
    """
    urls = (gateway, os.environ.get("OPENAI_BASE_URL"), os.environ.get("OPENAI_API_BASE"))
    return frozenset(_origin(url) for url in urls if url)


def new_run() -> str:
    """An identifier that no other run has."""
    return uuid.uuid4().hex


def check_name(name: str) -> str:
    """The name of a workflow or run, if it can travel in a header. Raises BadInput."""
    if not name or not name.isascii() or not name.isprintable() or name.strip() != name:
        raise BadInput(f"{name!r} cannot name a workflow or run: use printable ASCII characters")
    return name


@lru_cache(maxsize=64)
def _origin(url: str) -> Origin:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError as error:
        raise BadInput(f"{url!r} is not the URL of a gateway: {error}") from None
    return parts.hostname or "", port or _PORTS.get(parts.scheme, 0)
