"""What engines share: Services, disruption budgets, and who may reach them (pure)."""

from __future__ import annotations

from collections.abc import Iterator

from scepsy.core.plan import Plan
from scepsy.deploy.kubernetes.objects import labels
from scepsy.deploy.kubernetes.objects.names import dns_label
from scepsy.deploy.kubernetes.objects.options import PORT, Object, RenderOptions


def llms_served(plan: Plan) -> list[str]:
    """The LLMs that have a replica, sorted."""
    return sorted({replica.llm for replica in plan.placement.replicas})


def services(plan: Plan, options: RenderOptions, plan_id: str) -> Iterator[Object]:
    """A headless Service for each LLM: its EndpointSlices have every ready engine, from which
    Scepsy's gateway chooses itself.
    """
    for llm in llms_served(plan):
        selector = labels.engines(options, llm)
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": labels.metadata(
                options,
                plan_id,
                labels.service_name(options, llm),
                selector,
                {labels.LLM_NAME: llm},
            ),
            "spec": {
                "clusterIP": "None",
                "selector": selector,
                "ports": [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}],
            },
        }


def disruption_budgets(plan: Plan, options: RenderOptions, plan_id: str) -> Iterator[Object]:
    """At most one engine of an LLM is evicted at a time. The only engine of an LLM can be evicted,
    too; else its node could never be drained.
    """
    for llm in llms_served(plan):
        selector = labels.engines(options, llm)
        name = labels.service_name(options, llm)
        yield {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": labels.metadata(options, plan_id, name, selector),
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector}},
        }


def network_policy(options: RenderOptions, plan_id: str) -> Object:
    """Engines are reached by Scepsy's gateways, by one another and from the namespaces that were
    named. What they reach, such as a hub of weights, is not restricted.
    """
    selector = labels.engines(options)
    gateways = {"matchLabels": {labels.PART_OF: "scepsy", labels.COMPONENT: "gateway"}}
    callers: list[Object] = [
        {"podSelector": gateways, "namespaceSelector": {}},
        {"podSelector": {"matchLabels": selector}},
    ]
    for namespace in options.from_namespaces:
        named = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        callers.append({"namespaceSelector": named})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": labels.metadata(
            options, plan_id, dns_label(f"{options.name}-engines"), selector
        ),
        "spec": {
            "podSelector": {"matchLabels": selector},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": callers, "ports": [{"protocol": "TCP", "port": PORT}]}],
        },
    }


def priority_class(options: RenderOptions) -> Iterator[Object]:
    """The PriorityClass, where its value was given. It belongs to no namespace."""
    if options.priority_class is not None and options.priority is not None:
        yield {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": options.priority_class, "labels": labels.instance(options)},
            "value": options.priority,
            "globalDefault": False,
            "description": "Engines of Scepsy.",
        }
