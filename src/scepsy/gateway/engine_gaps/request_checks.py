"""Refuses what vLLM would refuse, for engines that do not check their requests."""

from __future__ import annotations

from dataclasses import dataclass

from scepsy.engines import Capabilities, engine_for
from scepsy.gateway.config import Route
from scepsy.gateway.engine_gaps.token_count import LlamaCppCounter, surely_fits
from scepsy.gateway.engine_gaps.vllm_rules import asks_too_much, refused_by_vllm
from scepsy.gateway.wire.errors import ErrorAnswer
from scepsy.gateway.wire.requests import ApiRequest


@dataclass(frozen=True, slots=True)
class RequestChecks:
    """The checks that an engine lacks, according to its capability flags."""

    counter: LlamaCppCounter

    async def refusal(self, asked: ApiRequest, route: Route) -> ErrorAnswer | None:
        """Why the call must not go to the engine. None if the engine checks the request itself, or
        if the answer is uncertain: a request that would fit is never refused.
        """
        capabilities = _capabilities(route)
        if capabilities is None:
            return None
        if not capabilities.strict and (refusal := refused_by_vllm(asked)):
            return refusal
        return None if capabilities.context_check else await self._beyond_context(asked, route)

    async def _beyond_context(self, asked: ApiRequest, route: Route) -> ErrorAnswer | None:
        context = route.max_context
        generates = asked.endpoint in ("chat", "completions")
        if context is None or asked.max_tokens is None or not generates:
            return None
        if surely_fits(asked, context):
            return None
        if refusal := asks_too_much(asked, 1, context):
            return refusal
        if route.engine != "llamacpp":
            return None
        tokens = await self.counter.count(route.url.rstrip("/").removesuffix("/v1"), asked)
        return None if tokens is None else asks_too_much(asked, tokens, context)


def _capabilities(route: Route) -> Capabilities | None:
    """None if the route names no engine, or an endpoint, which checks its requests itself."""
    if route.engine is None or route.hosted:
        return None
    return engine_for(route.engine).capabilities
