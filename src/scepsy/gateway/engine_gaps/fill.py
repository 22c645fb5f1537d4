"""Makes up for what the engine behind a route lacks, by its capability flags."""

from __future__ import annotations

from dataclasses import dataclass

from scepsy.engines import Capabilities, engine_for
from scepsy.gateway.config import Route
from scepsy.gateway.engine_gaps.strictness import asks_too_much, refused_by_vllm
from scepsy.gateway.engine_gaps.token_count import LlamaCppCounter, surely_fits
from scepsy.gateway.wire.errors import ErrorAnswer
from scepsy.gateway.wire.requests import ApiRequest


@dataclass(frozen=True, slots=True)
class Stand:
    """Stands in for engines that take what vLLM refuses."""

    counter: LlamaCppCounter

    async def refusal(self, asked: ApiRequest, route: Route) -> ErrorAnswer | None:
        """Why the call must not go to the engine; None also where the engine sees to it itself, or
        nobody can tell. What would fit is never refused.
        """
        lacking = _capabilities(route)
        if lacking is None:
            return None
        if not lacking.strict and (refusal := refused_by_vllm(asked)):
            return refusal
        return None if lacking.context_check else await self._beyond_context(asked, route)

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
    """None where the route names no engine of which we know what it does; an endpoint's own
    refusals are its own business.
    """
    if route.engine is None or route.hosted:
        return None
    return engine_for(route.engine).capabilities
