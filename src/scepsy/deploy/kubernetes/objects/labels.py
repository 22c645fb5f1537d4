"""The labels by which objects and pods are found (pure)."""

from __future__ import annotations

from scepsy.core.plan import Replica
from scepsy.deploy.kubernetes.objects.names import dns_label, label_value
from scepsy.deploy.kubernetes.objects.options import Object, RenderOptions

LLM = "scepsy/llm"
REPLICA = "scepsy/replica"
PLAN = "scepsy/plan"
EPOCH = "scepsy/epoch"
LLM_NAME = "scepsy/llm-name"
REPLICA_NAME = "scepsy/replica-name"
GPUS = "scepsy/gpus"
"""Annotations with the plan's own names, which labels may have to shorten."""

GATEWAY = "gateway"
"""The end of the name of a deployment's gateway."""

INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
PART_OF = "app.kubernetes.io/part-of"


def instance(options: RenderOptions) -> dict[str, str]:
    """The labels of everything that belongs to the deployment."""
    return {
        PART_OF: "scepsy",
        INSTANCE: label_value(options.name),
    }


def engines(options: RenderOptions, llm: str | None = None) -> dict[str, str]:
    """Selects the pods of all engines, or of those of one LLM."""
    found = {**instance(options), COMPONENT: "engine"}
    return found if llm is None else {**found, LLM: label_value(llm)}


def engine(options: RenderOptions, replica: Replica) -> dict[str, str]:
    """Selects the pod of one replica."""
    return {**engines(options, replica.llm), REPLICA: label_value(replica.replica)}


def metadata(
    options: RenderOptions,
    plan: str,
    name: str,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
) -> Object:
    """The metadata of an object with a namespace. Plan and epoch are labels of objects only: as
    labels of pods they would restart every engine with every plan.
    """
    every = {
        **instance(options),
        "app.kubernetes.io/managed-by": "scepsy",
        **(labels or {}),
        PLAN: plan,
        EPOCH: str(options.epoch),
    }
    found: Object = {"name": name, "namespace": options.namespace, "labels": every}
    return {**found, "annotations": annotations} if annotations else found


def workload_name(options: RenderOptions, replica: Replica) -> str:
    return _named(options, replica.replica)


def service_name(options: RenderOptions, llm: str) -> str:
    return _named(options, llm)


def _named(options: RenderOptions, name: str) -> str:
    """The name of an object of an LLM or a replica. The deployment's own gateway has the plain name
    of one that is called "gateway", which gets a digest instead.
    """
    text = f"{options.name}-{name}"
    return dns_label(f"{text}\0" if name == GATEWAY else text)
