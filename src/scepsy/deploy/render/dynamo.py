"""A plan for NVIDIA Dynamo: a `DynamoGraphDeployment` (v1beta1), a worker for each LLM (pure).

Replicas and tensor parallelism are fixed. Parts of GPUs are fractions of the KAI scheduler, as
Dynamo's guides to many models on few GPUs have them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from scepsy.core.llm import EngineKind
from scepsy.core.plan import Plan
from scepsy.deploy.kubernetes.objects.gpus.kai import QUEUE, SCHEDULER
from scepsy.deploy.kubernetes.objects.labels import metadata
from scepsy.deploy.kubernetes.objects.names import dns_label, plan_id
from scepsy.deploy.kubernetes.objects.options import LaunchIn, RenderOptions
from scepsy.deploy.kubernetes.objects.rendering import hosted_elsewhere
from scepsy.deploy.kubernetes.objects.workload import host_resources
from scepsy.deploy.render.arguments import SERVER, arguments, words
from scepsy.deploy.render.groups import (
    LlmGroup,
    by_llm,
    exact_places_lost,
    launch_of,
    order_lost,
    refusals,
)
from scepsy.deploy.render.pods import environment, in_container, on_nodes, whole_gpu_resources
from scepsy.deploy.render.translation import NotTranslated, Translation

IMAGES: Mapping[EngineKind, str] = {
    "vllm": "nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.6.1",
    "sglang": "nvcr.io/nvidia/ai-dynamo/sglang-runtime:1.6.1",
}
"""Dynamo reads the version of its runtime from the image's tag."""

_VERSION = re.compile(r":v?\d+\.\d+\.\d+$")

COMPONENTS_MAX = 25
"""Components of one graph, by its schema."""

_SERVER = tuple(name for name in SERVER if name != "--served-model-name")


def dynamo(plan: Plan, launch_in: LaunchIn, options: RenderOptions) -> Translation | NotTranslated:
    """The graph. Raises BadInput for an LLM that its engine cannot serve."""
    reasons = list(refusals(plan, ("vllm", "sglang"), "Dynamo"))
    groups = by_llm(plan)
    if len(groups) + 1 > COMPONENTS_MAX:
        reasons.append(
            f"The plan has {len(groups)} LLMs; a DynamoGraphDeployment has at most "
            f"{COMPONENTS_MAX} components, of which one is its frontend."
        )
    if reasons:
        return NotTranslated(tuple(reasons))
    name = plan_id(plan)
    frontend = {
        "name": "Frontend",
        "type": "frontend",
        "replicas": 1,
        "podTemplate": {
            "spec": {"containers": [{"name": "main", "image": _image(_first(groups), options)}]}
        },
    }
    graph = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": metadata(options, name, dns_label(options.name)),
        "spec": {
            "components": [frontend, *(_worker(plan, one, launch_in, options) for one in groups)]
        },
    }
    return Translation(
        target="Dynamo",
        plan=name,
        objects=(graph,),
        lost=tuple(_lost(plan)),
        needs=(*hosted_elsewhere(plan), *_needs(plan, options)),
        files={"graph": (graph,)},
    )


def _worker(
    plan: Plan, one: LlmGroup, launch_in: LaunchIn, options: RenderOptions
) -> dict[str, Any]:
    launch = launch_of(plan, one, launch_in, whole=False)
    given = {"--model": one.llm.model_path} if one.llm.engine == "vllm" else {}
    container: dict[str, Any] = {
        "name": "main",
        "image": _image(one.llm.engine, options),
        "command": ["python3", "-m", f"dynamo.{one.llm.engine}"],
        "args": in_container(words({**given, **arguments(launch)}, _SERVER)),
        "env": environment(launch),
        "resources": whole_gpu_resources(one.tp, options, host_resources(one.llm, one.replicas[0])),
    }
    template: dict[str, Any] = {
        "spec": {"affinity": on_nodes(one.nodes, options), "containers": [container]}
    }
    if one.is_part:
        for table in container["resources"].values():
            table.pop("nvidia.com/gpu", None)
        booked = min(0.999, max(one.gpu_share, one.replicas[0].memory_share))
        notes = {"gpu-fraction": f"{booked:.3f}"}
        if one.tp > 1:
            notes["gpu-fraction-num-devices"] = str(one.tp)
        template["metadata"] = {"annotations": notes, "labels": {QUEUE: options.queue}}
        template["spec"]["schedulerName"] = SCHEDULER
    return {
        "name": dns_label(one.llm.name),
        "type": "worker",
        "replicas": len(one.replicas),
        "podTemplate": template,
    }


def _first(groups: tuple[LlmGroup, ...]) -> EngineKind:
    return groups[0].llm.engine if groups else "vllm"


def _image(kind: EngineKind, options: RenderOptions) -> str:
    return options.images.get(kind) or IMAGES[kind]


def _lost(plan: Plan) -> Iterator[str]:
    yield from exact_places_lost(plan, nodes=False)
    for one in by_llm(plan):
        if one.is_part:
            yield f"Which replicas share a GPU with {one.llm.name}: KAI chooses them."
    yield from order_lost(plan)
    yield "Routing by runs: Dynamo's router sees single calls."
    pooling = [one.llm.name for one in by_llm(plan) if one.llm.kind != "generate"]
    if pooling:
        yield (
            f"Embedding and reranking by {', '.join(pooling)}: whether Dynamo's frontend serves "
            "such calls was not tried."
        )


def _needs(plan: Plan, options: RenderOptions) -> Iterator[str]:
    yield "Dynamo 1.6 with its operator."
    for image in dict.fromkeys(_image(one.llm.engine, options) for one in by_llm(plan)):
        if not _VERSION.search(image):
            yield (
                f"For the image {image}, whose tag is no version such as 1.6.1: the version of its "
                "Dynamo as runtimeVersionOverride of each component."
            )
    if any(one.is_part for one in by_llm(plan)):
        yield (
            f"The KAI scheduler with GPU sharing and a queue {options.queue!r}; and, so that "
            "shares are limited, what Dynamo's guides to GPU fractions install."
        )
