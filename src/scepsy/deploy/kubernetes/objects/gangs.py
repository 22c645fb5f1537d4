"""Scheduling pods together: Kubernetes' own PodGroup, or a queue of Kueue (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from scepsy.core.plan import Plan, Replica
from scepsy.deploy.kubernetes.objects import labels
from scepsy.deploy.kubernetes.objects.options import Object, RenderOptions

QUEUE = "kueue.x-k8s.io/queue-name"


def pod_groups(plan: Plan, options: RenderOptions, plan_id: str) -> Iterator[Object]:
    """A PodGroup for each LLM: all of its engines get a node, or none does."""
    if options.gang != "podgroup":
        return
    counts = Counter(replica.llm for replica in plan.placement.replicas)
    for llm in sorted(counts):
        yield {
            "apiVersion": "scheduling.k8s.io/v1beta1",
            "kind": "PodGroup",
            "metadata": labels.metadata(options, plan_id, labels.service_name(options, llm)),
            "spec": {"schedulingPolicy": {"gang": {"minCount": counts[llm]}}},
        }


def pod_fields(replica: Replica, options: RenderOptions) -> Object:
    """Fields of a pod's `spec` by which it belongs to its group."""
    if options.gang != "podgroup":
        return {}
    name = labels.service_name(options, replica.llm)
    return {"schedulingGroup": {"podGroupName": name}}


def workload_labels(options: RenderOptions) -> dict[str, str]:
    """Labels of a workload by which Kueue admits it."""
    return {QUEUE: options.queue} if options.gang == "kueue" else {}


def needs(options: RenderOptions) -> Iterator[str]:
    if options.gang == "podgroup":
        yield "Kubernetes 1.37 or newer with the feature gate of gang scheduling."
    elif options.gang == "kueue":
        yield f"Kueue with a LocalQueue {options.queue!r} in the namespace {options.namespace}."
