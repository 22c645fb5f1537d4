"""Makes the HTTP clients that agent programs use ask for headers before each request.

A client that is loaded is patched at once; one that is loaded later, when it is loaded: importing
all four up front would cost a second.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

HeadersFor = Callable[[str, str | None, int | None], Mapping[str, str]]
"""Headers for a request to (scheme, host, port)."""


def mark_clients(headers_for: HeadersFor) -> None:
    """Patches each client library once, now or when it is imported. Cheap to call again."""
    if not any(isinstance(finder, _PatchOnImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _PatchOnImport(headers_for))
    for name in _PATCHES:
        module = sys.modules.get(name)
        if module is not None and name not in _patched:
            _patch(module, headers_for)


_patched: set[str] = set()


def _patch(module: ModuleType, headers_for: HeadersFor) -> None:
    if module.__name__ not in _patched:
        _patched.add(module.__name__)
        _PATCHES[module.__name__](module, headers_for)


def _patch_httpx(module: Any, headers_for: HeadersFor) -> None:
    for client in (module.Client, module.AsyncClient):
        client.send = _marking_url(client.send, headers_for)


def _marking_url(send: Any, headers_for: HeadersFor) -> Any:
    @functools.wraps(send)
    def marked(client: Any, request: Any, *args: Any, **options: Any) -> Any:
        url = request.url
        request.headers.update(headers_for(url.scheme, url.host, url.port))
        return send(client, request, *args, **options)

    return marked


def _patch_requests(module: Any, headers_for: HeadersFor) -> None:
    send = module.Session.send

    @functools.wraps(send)
    def marked(session: Any, request: Any, **options: Any) -> Any:
        url = urlsplit(str(request.url))
        request.headers.update(headers_for(url.scheme, url.hostname, url.port))
        return send(session, request, **options)

    module.Session.send = marked


def _patch_aiohttp(module: Any, headers_for: HeadersFor) -> None:
    from multidict import CIMultiDict  # comes with aiohttp; loaded with it, not before

    session_class = module.ClientSession
    # aiohttp has no public place that every request passes and that older sessions see too.
    request, build_url = session_class._request, session_class._build_url  # noqa: SLF001

    @functools.wraps(request)
    def marked(session: Any, method: str, url: Any, **options: Any) -> Any:
        target = build_url(session, url)
        if extra := headers_for(target.scheme, target.host, target.port):
            options["headers"] = CIMultiDict[str](options.get("headers") or ())
            options["headers"].update(extra)
        return request(session, method, url, **options)

    session_class._request = marked  # noqa: SLF001


_PATCHES: dict[str, Callable[[Any, HeadersFor], None]] = {
    "httpx": _patch_httpx,
    "httpx2": _patch_httpx,
    "aiohttp": _patch_aiohttp,
    "requests": _patch_requests,
}


class _PatchOnImport(MetaPathFinder):
    """Finds the client libraries as Python would, and patches them once they have been executed."""

    def __init__(self, headers_for: HeadersFor) -> None:
        self._headers_for = headers_for

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _PATCHES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _PatchingLoader(spec.loader, self._headers_for)
        return spec


class _PatchingLoader(Loader):
    def __init__(self, loader: Loader, headers_for: HeadersFor) -> None:
        self._loader = loader
        self._headers_for = headers_for

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _patch(module, self._headers_for)

    def __getattr__(self, name: str) -> Any:
        # Readers of resources ask the loader for more than a loader must have.
        return getattr(self._loader, name)
