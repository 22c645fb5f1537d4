"""The HTTP server under the gateway: limits, and OpenAI's error shape for whatever it refuses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader

from scepsy.gateway.calls.delivery import refuse
from scepsy.gateway.wire.errors import ErrorAnswer, malformed

HEADER_BYTES_MAX = 64 << 10
"""Of one header, or of the request line: tokens, cookies and baggage grow beyond the usual 8 kB."""

HEADERS_MAX = 256
_BODY_BYTES_MAX = 256 << 20

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)


class HttpServer(web.Server):
    """Calls `handler` for each request. Its own errors, and those of HTTP, have OpenAI's shape."""

    def __init__(self, handler: Handler) -> None:
        self._loop_of_server = asyncio.get_running_loop()
        super().__init__(
            _in_shape(handler), request_factory=self._request, handler_cancellation=True
        )

    def __call__(self) -> web.RequestHandler:
        return _Connection(
            self,
            loop=self._loop_of_server,
            access_log=None,  # pyright: ignore[reportArgumentType] - None is how it is turned off
            auto_decompress=False,  # the gateway decodes within limits, and says what it cannot
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            max_headers=HEADERS_MAX,
        )

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        if message.method == "UNKNOWN":  # stands for a request that could not be read
            message = message._replace(version=HttpVersion11)
        return web.BaseRequest(
            message,
            payload,
            protocol,
            writer,
            task,
            self._loop_of_server,
            client_max_size=_BODY_BYTES_MAX,
        )


class _Connection(web.RequestHandler):
    """A connection that answers invalid HTTP with an error in OpenAI's shape, and closes."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        if isinstance(exc, LineTooLong):
            what = f"the request line or a header is longer than {HEADER_BYTES_MAX} bytes"
            response = refuse(ErrorAnswer(431, what, "header_too_large"))
        elif status < 500:
            response = refuse(malformed(f"this is not a valid HTTP request: {message or exc}"))
        else:
            _log.error("a request failed", exc_info=exc)
            response = refuse(internal_error())
        response.force_close()
        return response


def internal_error() -> ErrorAnswer:
    return ErrorAnswer(500, "the gateway failed; its log says why", "internal_error")


async def _expect(request: web.BaseRequest) -> None:
    """Asks a caller to send its body if it waits to be asked, as curl does with a large one."""
    if request.headers["Expect"].lower() != "100-continue":
        raise web.HTTPExpectationFailed
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the answer itself has not begun


def _in_shape(handler: Handler) -> Handler:
    """The handler, with its HTTP errors and unexpected failures answered in OpenAI's shape."""

    async def shaped(request: web.BaseRequest) -> web.StreamResponse:
        try:
            if "Expect" in request.headers:
                await _expect(request)
            return await handler(request)
        except web.HTTPException as error:
            reason = error.reason or HTTPStatus(error.status).phrase
            return refuse(ErrorAnswer(error.status, reason, "http_error"))
        except ConnectionError:
            raise
        except Exception:
            if request.writer.output_size > 0:
                raise
            _log.exception("%s %s failed", request.method, request.rel_url.raw_path)
            return refuse(internal_error())

    return shaped
