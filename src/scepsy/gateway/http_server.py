"""The HTTP server under the gateway: whatever it refuses has OpenAI's error shape."""

from __future__ import annotations

import logging

from scepsy.gateway.calls.delivery import refuse
from scepsy.gateway.config import HttpLimits
from scepsy.gateway.http.connection import Handler
from scepsy.gateway.http.listener import Listener
from scepsy.gateway.http.messages import HttpError, HttpRequest, HttpResponse, StreamResponse
from scepsy.gateway.wire.errors import ErrorAnswer, malformed

_CODES = {
    408: "too_slow",
    413: "body_too_large",
    417: "http_error",
    431: "header_too_large",
    503: "too_many_connections",
}

_log = logging.getLogger(__name__)


def http_server(handler: Handler, limits: HttpLimits) -> Listener:
    """Calls `handler` for each request. Its own errors, and those of HTTP, have OpenAI's shape."""
    return Listener(_in_shape(handler), _refusal, limits)


def _refusal(status: int, why: str) -> HttpResponse:
    if status == 400:
        return refuse(malformed(why))
    return refuse(ErrorAnswer(status, why, _CODES.get(status, "http_error")))


def _in_shape(handler: Handler) -> Handler:
    """The handler, with its HTTP errors and unexpected failures answered in OpenAI's shape."""

    async def shaped(request: HttpRequest) -> StreamResponse:
        try:
            return await handler(request)
        except HttpError as error:
            response = refuse(ErrorAnswer(error.status, error.reason, "http_error"))
            response.headers.update(error.headers)
            return response
        except ConnectionError:
            raise
        except Exception:
            if request.answered:
                raise
            _log.exception("%s %s failed", request.method, request.rel_url.raw_path)
            return refuse(
                ErrorAnswer(500, "the gateway failed; its log says why", "internal_error")
            )

    return shaped
