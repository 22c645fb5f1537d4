"""The gateway's routes for a plan: to its replicas, and to hosted endpoints (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Plan, Replica
from scepsy.engines import engine_for
from scepsy.gateway.config import Route


def routes_of(
    plan: Plan, served: Sequence[tuple[Replica, str]], leaving: Sequence[LlmSpec] = ()
) -> tuple[Route, ...]:
    """One route for each replica and its URL, then one for each hosted endpoint. `leaving` are LLMs
    that the plan no longer has, and of which replicas still serve.
    """
    llms = {llm.name: llm for llm in (*leaving, *plan.llms)}
    ours = tuple(
        Route(
            llm=one.llm,
            replica=one.replica,
            url=url,
            engine=llms[one.llm].engine,
            max_context=llms[one.llm].max_context,
            ranked=_ranked(llms[one.llm]),
        )
        for one, url in served
    )
    return ours + hosted_routes(plan)


def _ranked(llm: LlmSpec) -> bool:
    """Whether the gateway may set the priority of calls. It may not where the user's own flags
    choose how the engine orders its queue, because vLLM may then refuse calls with a priority.
    """
    own = any(flag.startswith("--schedul") for flag in llm.flags)
    return engine_for(llm.engine).capabilities.priority and not own


def hosted_routes(plan: Plan) -> tuple[Route, ...]:
    """One route for each LLM that is served at a hosted endpoint."""
    return tuple(
        Route(
            llm=llm.name,
            replica=f"{llm.name}-endpoint",
            url=llm.url or "",
            engine=llm.engine,
            api_key_env=llm.api_key_env,
            rate_limit=llm.rate_limit,
        )
        for llm in plan.llms
        if llm.hosted
    )


def key_variables(plan: Plan) -> tuple[str, ...]:
    """The environment variables with the keys of the plan's hosted endpoints."""
    named = {route.api_key_env for route in hosted_routes(plan)}
    return tuple(sorted(one for one in named if one is not None))
