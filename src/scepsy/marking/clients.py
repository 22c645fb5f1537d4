"""Patches the HTTP clients that agent programs use, to add headers to each request."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from scepsy.marking.importing import patch_modules

HeadersFor = Callable[[str, str | None, int | None], Mapping[str, str]]
"""The headers to add to a request to (scheme, host, port)."""


def mark_clients(headers_for: HeadersFor) -> None:
    """Patches each client library once, now or when it is imported. Further calls do nothing."""
    patch_modules({name: partial(patch, headers_for) for name, patch in _PATCHES.items()})


def _patch_httpx(headers_for: HeadersFor, module: Any) -> None:
    for client in (module.Client, module.AsyncClient):
        client.send = _marking_url(client.send, headers_for)


def _marking_url(send: Any, headers_for: HeadersFor) -> Any:
    @functools.wraps(send)
    def marked(client: Any, request: Any, *args: Any, **options: Any) -> Any:
        url = request.url
        request.headers.update(headers_for(url.scheme, url.host, url.port))
        return send(client, request, *args, **options)

    return marked


def _patch_requests(headers_for: HeadersFor, module: Any) -> None:
    send = module.Session.send

    @functools.wraps(send)
    def marked(session: Any, request: Any, **options: Any) -> Any:
        url = urlsplit(str(request.url))
        request.headers.update(headers_for(url.scheme, url.hostname, url.port))
        return send(session, request, **options)

    module.Session.send = marked


def _patch_aiohttp(headers_for: HeadersFor, module: Any) -> None:
    from multidict import CIMultiDict  # a dependency of aiohttp, so not imported before it

    session_class = module.ClientSession
    # aiohttp has no public hook for every request that also reaches sessions created earlier.
    request, build_url = session_class._request, session_class._build_url  # noqa: SLF001

    @functools.wraps(request)
    def marked(session: Any, method: str, url: Any, **options: Any) -> Any:
        target = build_url(session, url)
        if extra := headers_for(target.scheme, target.host, target.port):
            options["headers"] = CIMultiDict[str](options.get("headers") or ())
            options["headers"].update(extra)
        return request(session, method, url, **options)

    session_class._request = marked  # noqa: SLF001


_PATCHES: dict[str, Callable[[HeadersFor, Any], None]] = {
    "httpx": _patch_httpx,
    "httpx2": _patch_httpx,
    "aiohttp": _patch_aiohttp,
    "requests": _patch_requests,
}
