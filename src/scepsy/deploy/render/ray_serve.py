"""A plan for Ray Serve LLM: an application of one `LLMConfig` for each LLM (pure).

The form is that of Ray 2.60: a config file for `serve deploy`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scepsy.core.plan import Plan
from scepsy.deploy.kubernetes.objects.names import plan_id
from scepsy.deploy.kubernetes.objects.options import LaunchIn
from scepsy.deploy.kubernetes.objects.rendering import hosted_elsewhere
from scepsy.deploy.render.arguments import SERVER, arguments, keywords
from scepsy.deploy.render.groups import (
    LlmGroup,
    by_llm,
    exact_places_lost,
    launch_of,
    order_lost,
    refusals,
)
from scepsy.deploy.render.translation import NotTranslated, Translation

ACCELERATORS = {
    "a100": "A100",
    "b200": "B200",
    "h100": "H100",
    "h200": "H200",
    "l40s": "L40S",
    "l4": "L4",
}
"""Ray's names of GPU types; Ray puts a replica on a node of its type."""

_ENGINE_OWNS = (*SERVER, "--tensor-parallel-size")


def ray_serve(plan: Plan, launch_in: LaunchIn, name: str) -> Translation | NotTranslated:
    """The Serve config. Raises BadInput for an LLM that vLLM cannot serve."""
    reasons = tuple(refusals(plan, ("vllm",), "Ray Serve LLM"))
    if reasons:
        return NotTranslated(reasons)
    config = {
        "applications": [
            {
                "name": name,
                "route_prefix": "/",
                "import_path": "ray.serve.llm:build_openai_app",
                "args": {"llm_configs": [_llm(plan, one, launch_in) for one in by_llm(plan)]},
            }
        ]
    }
    return Translation(
        target="Ray Serve LLM",
        plan=plan_id(plan),
        objects=(config,),
        lost=tuple(_lost(plan)),
        needs=(*hosted_elsewhere(plan), *_needs(plan)),
        files={"serve": (config,)},
    )


def _llm(plan: Plan, one: LlmGroup, launch_in: LaunchIn) -> dict[str, Any]:
    launch = launch_of(plan, one, launch_in, whole=False)
    bundle = {"CPU": 1, "GPU": 1 if not one.is_part else round(one.gpu_share, 4)}
    config: dict[str, Any] = {
        "model_loading_config": {
            "model_id": one.llm.name,
            "model_source": one.llm.model_path,
        },
        "engine_kwargs": {
            "tensor_parallel_size": one.tp,
            **keywords(arguments(launch), _ENGINE_OWNS),
        },
        "placement_group_config": {
            "bundles": [dict(bundle) for _ in range(one.tp)],
            "strategy": "STRICT_PACK",
        },
        "deployment_config": {
            "num_replicas": len(one.replicas),
            "max_ongoing_requests": 4 * one.llm.max_sequences,
        },
        "runtime_env": {"env_vars": dict(sorted(launch.env.items()))},
    }
    types = {node.name: node.gpu_type for node in plan.cluster.nodes}
    accelerator = ACCELERATORS.get(types[one.nodes[0]])
    if accelerator is not None:
        config["accelerator_type"] = accelerator
    return config


def _lost(plan: Plan) -> Iterator[str]:
    yield from exact_places_lost(plan, nodes=True)
    for one in by_llm(plan):
        if one.is_part:
            yield (
                f"Which replicas share a GPU with {one.llm.name}: Ray books {one.gpu_share:g} of a "
                "GPU and packs as it likes. Memory shares are not booked."
            )
    yield from order_lost(plan)
    yield "Routing by runs: Serve's router sees single calls."


def _needs(plan: Plan) -> Iterator[str]:
    yield "Ray 2.60 with ray[llm], and vLLM in the image of the workers."
    if any(one.is_part for one in by_llm(plan)):
        yield (
            "On nodes whose GPUs are shared: an MPS daemon; without one, compute shares are not "
            "limited. Ray calls fractional GPUs in Serve LLM little tested."
        )
