"""Floors, ceilings and quotas of a plan for KEDA and Kueue, which scale and admit others' own
workloads (pure).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from scepsy.core.plan import Plan
from scepsy.deploy.kubernetes.objects.gpus.device_plugin import WHOLE
from scepsy.deploy.kubernetes.objects.labels import metadata
from scepsy.deploy.kubernetes.objects.names import dns_label, plan_id
from scepsy.deploy.kubernetes.objects.options import RenderOptions
from scepsy.deploy.kubernetes.objects.rendering import hosted_elsewhere
from scepsy.deploy.render.groups import (
    LlmGroup,
    by_llm,
    exact_places_lost,
    order_lost,
    whole_gpus,
)
from scepsy.deploy.render.translation import NotTranslated, Translation

PROMETHEUS = "http://prometheus.monitoring.svc:9090"
"""Where KEDA asks for metrics, unless told otherwise."""

RUNNING = "vllm:num_requests_running"
WAITING = "vllm:num_requests_waiting"

KUEUE = "kueue.x-k8s.io/v1beta2"


def keda_kueue(
    plan: Plan, options: RenderOptions, prometheus: str = PROMETHEUS
) -> Translation | NotTranslated:
    """For each LLM a ScaledObject of a Deployment with its name, and a queue whose quota is the
    GPUs that the plan gives it; the queues may lend one another what is unused.
    """
    name = plan_id(plan)
    groups = by_llm(plan)
    flavors = sorted({node.gpu_type for node in plan.cluster.nodes})
    shared = [_flavor(flavor) for flavor in flavors]
    by_name = {dns_label(one.llm.name): one for one in groups}
    files = {"flavors": tuple(shared)} | {
        f"llm-{label}": (
            _scaled(plan, one, options, name, prometheus),
            *_queues(plan, one, options, name),
        )
        for label, one in by_name.items()
    }
    return Translation(
        target="KEDA and Kueue",
        plan=name,
        objects=tuple(each for part in files.values() for each in part),
        lost=tuple(_lost(plan)),
        needs=(*hosted_elsewhere(plan), *_needs(options, prometheus)),
        files=files,
    )


def floor(plan: Plan, one: LlmGroup) -> int:
    """The fewest replicas with which the LLM is not saturated at the plan's target rates."""
    used = plan.prediction.utilisation.get(one.llm.name, 1.0)
    return min(len(one.replicas), max(1, math.ceil(len(one.replicas) * used)))


def _scaled(
    plan: Plan, one: LlmGroup, options: RenderOptions, plan_name: str, prometheus: str
) -> dict[str, Any]:
    """Between the floor and the plan's replicas: one more for each full batch of calls."""
    label = dns_label(one.llm.name)
    of_llm = f"{{model_name={json.dumps(one.llm.name)}}}"
    trigger = {
        "type": "prometheus",
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": prometheus,
            "query": f"sum({RUNNING}{of_llm}) + sum({WAITING}{of_llm})",
            "threshold": str(one.llm.max_sequences),
        },
    }
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata(options, plan_name, label),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": label},
            "minReplicaCount": floor(plan, one),
            "maxReplicaCount": len(one.replicas),
            "triggers": [trigger],
        },
    }


def _flavor(gpu_type: str) -> dict[str, Any]:
    return {
        "apiVersion": KUEUE,
        "kind": "ResourceFlavor",
        "metadata": {"name": dns_label(f"scepsy-{gpu_type}")},
        "spec": {},
    }


def _queues(
    plan: Plan, one: LlmGroup, options: RenderOptions, plan_name: str
) -> Iterator[dict[str, Any]]:
    label = dns_label(one.llm.name)
    queue = dns_label(f"{options.name}-{one.llm.name}")
    types = {node.name: node.gpu_type for node in plan.cluster.nodes}
    flavor = dns_label(f"scepsy-{types[one.nodes[0]]}")
    quota = {"name": WHOLE, "nominalQuota": str(whole_gpus(one))}
    yield {
        "apiVersion": KUEUE,
        "kind": "ClusterQueue",
        "metadata": {
            key: value
            for key, value in metadata(options, plan_name, queue).items()
            if key != "namespace"
        },
        "spec": {
            "cohortName": dns_label(options.name),
            "namespaceSelector": {
                "matchLabels": {"kubernetes.io/metadata.name": options.namespace}
            },
            "resourceGroups": [
                {
                    "coveredResources": [WHOLE],
                    "flavors": [{"name": flavor, "resources": [quota]}],
                }
            ],
        },
    }
    yield {
        "apiVersion": KUEUE,
        "kind": "LocalQueue",
        "metadata": metadata(options, plan_name, label),
        "spec": {"clusterQueue": queue},
    }


def _lost(plan: Plan) -> Iterator[str]:
    yield "The engines themselves: these objects turn the dials of workloads that are there."
    sizes = ", ".join(f"{one.llm.name} {one.size}" for one in by_llm(plan))
    if sizes:
        yield f"The size of a replica ({sizes}): the workloads decide it."
    yield from exact_places_lost(plan, nodes=True)
    parts = [one for one in by_llm(plan) if one.is_part]
    for one in parts:
        yield f"The shares of {one.llm.name}: its quota of GPUs is rounded up to {whole_gpus(one)}."
    yield from order_lost(plan)


def _needs(options: RenderOptions, prometheus: str) -> Iterator[str]:
    yield "KEDA 2 and Kueue with the API v1beta2, and rights to make cluster-wide objects."
    yield (
        f"For each LLM, a Deployment of its name in the namespace {options.namespace} with the "
        "label kueue.x-k8s.io/queue-name of the same name."
    )
    yield f"A Prometheus at {prometheus} that reads the metrics of vLLM."
    yield "For several GPU types: the node labels of each ResourceFlavor, which are not known here."
