"""The routes of an emulated engine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress

from aiohttp import web
from aiohttp.typedefs import Handler

from scepsy.core.llm import LlmKind
from scepsy.engines.emulated.api import info, messages, pooling, responses
from scepsy.engines.emulated.api.chat import chat
from scepsy.engines.emulated.api.completions import completions
from scepsy.engines.emulated.served import ServedLlm
from scepsy.engines.emulated.wire.bodies import MALFORMED
from scepsy.engines.emulated.wire.errors import RequestRefused

_log = logging.getLogger(__name__)

_MAX_BODY = 64 << 20
"""Bytes of a request's body. Long prompts are a few megabytes."""

Route = Callable[[web.Request, ServedLlm], Awaitable[web.StreamResponse]]

_POST: dict[LlmKind, dict[str, Route]] = {
    "generate": {
        "/v1/chat/completions": chat,
        "/v1/completions": completions,
        "/v1/responses": responses.create,
        "/v1/responses/{response_id}/cancel": responses.cancel,
        "/v1/messages": messages.messages,
        "/v1/messages/count_tokens": messages.count_tokens,
    },
    "embed": {"/v1/embeddings": pooling.embeddings, "/pooling": pooling.pool},
    "rerank": {
        "/v1/rerank": pooling.rerank,
        "/rerank": pooling.rerank,
        "/v2/rerank": pooling.rerank,
        "/classify": pooling.classify,
        "/v1/score": pooling.score,
        "/score": pooling.score,
    },
}
"""The endpoints of each kind of LLM. As in vLLM, there is no route for what an LLM cannot do."""

_TOKENS: dict[str, Route] = {"/tokenize": info.tokenize, "/detokenize": info.detokenize}

_GET: dict[str, Route] = {
    "/v1/models": info.models,
    "/v1/responses/{response_id}": responses.fetch,
    "/health": info.health,
    "/ping": info.health,
    "/version": info.version,
    "/metrics": info.metrics,
}


def make_app(llm: ServedLlm) -> web.Application:
    """The HTTP server of one LLM. Its engine runs as long as the server does."""
    app = web.Application(client_max_size=_MAX_BODY, middlewares=[_detail])
    for path, route in (_POST[llm.spec.kind] | _TOKENS).items():
        app.router.add_post(path, _handler(route, llm))
    for path, route in _GET.items():
        app.router.add_get(path, _handler(route, llm))

    async def run_engine(_app: web.Application) -> AsyncGenerator[None, None]:
        running = asyncio.create_task(llm.pacer.run())
        running.add_done_callback(_end_if_failed)
        yield
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    app.cleanup_ctx.append(run_engine)
    return app


def _handler(
    route: Route, llm: ServedLlm
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            bodiless = request.path.endswith("/cancel") or request.method != "POST"
            if not bodiless and request.content_type != "application/json":
                raise RequestRefused("Only 'application/json' is allowed", kind=MALFORMED)
            return await route(request, llm)
        except RequestRefused as refusal:
            return _error(refusal, request.path)
        except (web.HTTPException, ConnectionResetError):
            raise
        except Exception as error:  # noqa: BLE001 - the edge of the process
            _log.exception("%s %s failed", request.method, request.path)
            refusal = RequestRefused(f"internal error: {error!r}", status=500)
            return _error(refusal, request.path)

    return handle


@web.middleware
async def _detail(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers unknown paths and wrong methods in the format of vLLM's web framework."""
    try:
        return await handler(request)
    except web.HTTPClientError as error:
        return web.json_response({"detail": error.reason}, status=error.status)


def _error(refusal: RequestRefused, path: str) -> web.Response:
    body = refusal.body(anthropic=path.startswith("/v1/messages"))
    return web.Response(body=body, status=refusal.status, content_type="application/json")


def _end_if_failed(running: asyncio.Task[None]) -> None:
    """Ends the server when the engine fails, as vLLM does."""
    if not running.cancelled() and running.exception() is not None:
        _log.error("the engine failed", exc_info=running.exception())
        raise SystemExit(1)
