"""A plan for KServe: an `LLMInferenceService` (v1alpha2) for each LLM (pure).

KServe's own template makes the command `vllm serve`; the arguments here are added to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scepsy.core.plan import Plan
from scepsy.deploy.kubernetes.objects.labels import metadata
from scepsy.deploy.kubernetes.objects.names import dns_label, label_value, plan_id
from scepsy.deploy.kubernetes.objects.options import LaunchIn, RenderOptions
from scepsy.deploy.kubernetes.objects.rendering import hosted_elsewhere
from scepsy.deploy.kubernetes.objects.workload import host_resources
from scepsy.deploy.render.arguments import arguments, words
from scepsy.deploy.render.groups import (
    LlmGroup,
    by_llm,
    exact_places_lost,
    launch_of,
    refusals,
    shares_lost,
)
from scepsy.deploy.render.pods import environment, in_container, on_nodes, whole_gpu_resources
from scepsy.deploy.render.translation import NotTranslated, Translation

OWN = (
    "--host",
    "--port",
    "--served-model-name",
    "--tensor-parallel-size",
    "--disable-uvicorn-access-log",
)
"""Options that KServe's template gives to vLLM itself."""


def kserve(plan: Plan, launch_in: LaunchIn, options: RenderOptions) -> Translation | NotTranslated:
    """The LLMInferenceServices. Raises BadInput for an LLM that vLLM cannot serve."""
    reasons = tuple(refusals(plan, ("vllm",), "KServe's LLMInferenceService"))
    if reasons:
        return NotTranslated(reasons)
    name = plan_id(plan)
    objects = tuple(_service(plan, one, launch_in, options, name) for one in by_llm(plan))
    return Translation(
        target="KServe",
        plan=name,
        objects=objects,
        lost=tuple(_lost(plan)),
        needs=(*hosted_elsewhere(plan), *_needs()),
        files={
            f"llm-{label_value(one.llm.name)}": (service,)
            for one, service in zip(by_llm(plan), objects, strict=True)
        },
    )


def _service(
    plan: Plan, one: LlmGroup, launch_in: LaunchIn, options: RenderOptions, plan_name: str
) -> dict[str, Any]:
    launch = launch_of(plan, one, launch_in, whole=True)
    host = host_resources(one.llm, one.replicas[0])
    container: dict[str, Any] = {
        "name": "main",
        "args": in_container(words(arguments(launch), OWN)),
        "env": environment(launch),
        "resources": whole_gpu_resources(one.tp, options, host),
    }
    if options.images.get(one.llm.engine):
        container["image"] = options.image(one.llm.engine)
    path = one.llm.model_path or ""
    spec: dict[str, Any] = {
        "model": {
            "uri": f"pvc://{path.lstrip('/')}" if path.startswith("/") else f"hf://{path}",
            "name": one.llm.name,
        },
        "replicas": len(one.replicas),
        "parallelism": {"tensor": one.tp},
        "router": {"gateway": {}, "route": {}, "scheduler": {}},
        "template": {"affinity": on_nodes(one.nodes, options), "containers": [container]},
    }
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": metadata(options, plan_name, dns_label(one.llm.name)),
        "spec": spec,
    }


def _lost(plan: Plan) -> Iterator[str]:
    yield from exact_places_lost(plan, nodes=False)
    yield from shares_lost(plan)
    yield "Routing by runs: the endpoint picker sees single calls."


def _needs() -> Iterator[str]:
    yield "KServe 0.20 or newer with LLMInferenceService, and its Gateway and scheduler."
    yield "For folders: a model_path /CLAIM/FOLDER, since KServe mounts weights from claims."
