"""Nodes from what Ray tells about its own (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from scepsy.discover.found import FoundGpu, FoundNode

NODE_LABEL, DOMAIN_LABEL = "scepsy-node", "ray.io/gpu-domain"
DOMAIN_SIZE_LABEL, GPU_TYPE_LABEL = "scepsy-nvlink-domain", "scepsy-gpu-type"
"""Labels that `scepsy ray up` gives to nodes."""
ACCELERATOR_LABEL, ACCELERATOR_RESOURCE = "ray.io/accelerator-type", "accelerator_type:"
RACK_LABEL = "rack"
ROUNDING = 1e-6
Object = Mapping[str, Any]


def ray_nodes(
    nodes: Iterable[Object],
    available: Mapping[str, Mapping[str, float]],
    *,
    rack_label: str = RACK_LABEL,
) -> tuple[FoundNode, ...]:
    """The living nodes that have GPUs.

    `nodes` are the records of `ray.nodes()`; `available` is by node id what is left of each
    resource. A node of a cluster that `scepsy ray up` started has a resource for each of its GPUs:
    those are ours, and none is taken. On another cluster Ray does not tell which GPUs are in use,
    only how many, so the last numbers of a node are marked as taken.
    """
    found = [
        _node(node, available.get(str(node["NodeID"]), {}), rack_label)
        for node in nodes
        if node.get("Alive")
    ]
    return tuple(sorted((node for node in found if node.gpus), key=lambda node: node.name))


def _node(node: Object, left: Mapping[str, float], rack_label: str) -> FoundNode:
    labels = cast(Mapping[str, str], node.get("Labels") or {})
    resources = cast(Mapping[str, float], node.get("Resources") or {})
    name = labels.get(NODE_LABEL) or str(
        node.get("NodeManagerHostname") or node["NodeManagerAddress"]
    )
    ours = sum(key.startswith(f"{name}/gpu") for key in resources)
    here = ours or math.floor(resources.get("GPU", 0.0) + ROUNDING)
    used = 0.0 if ours else resources.get("GPU", 0.0) - left.get("GPU", 0.0)
    first_taken = here - math.ceil(used - ROUNDING)
    why = f"{used:g} GPUs of the node are in use in Ray"
    product = _product(labels, resources)
    gpus = tuple(
        FoundGpu(product=product, taken=why if number >= first_taken else None)
        for number in range(here)
    )
    return FoundNode(
        name=name,
        gpus=gpus,
        linked=_linked(labels, here),
        rack=labels.get(rack_label),
        notes=tuple(_notes(name, gpus, product)),
    )


def _product(labels: Mapping[str, str], resources: Iterable[str]) -> str:
    """The type that `scepsy ray up` was told, or that Ray found; empty where there is neither."""
    by_resource = (
        key.removeprefix(ACCELERATOR_RESOURCE)
        for key in resources
        if key.startswith(ACCELERATOR_RESOURCE)
    )
    known = labels.get(GPU_TYPE_LABEL) or labels.get(ACCELERATOR_LABEL)
    return known or next(by_resource, "")


def _linked(labels: Mapping[str, str], gpus: int) -> frozenset[tuple[int, int]] | None:
    """The links of the domains that labels tell; None where they tell none."""
    if labels.get(DOMAIN_LABEL):
        size = gpus
    elif (told := labels.get(DOMAIN_SIZE_LABEL, "")).isdigit() and int(told):
        size = int(told)
    else:
        return None
    return frozenset(
        (a, b) for a in range(gpus) for b in range(a + 1, gpus) if a // size == b // size
    )


def _notes(name: str, gpus: tuple[FoundGpu, ...], product: str) -> Iterator[str]:
    if gpus and not product:
        yield f"{name}: Ray does not tell the type of its GPUs; --gpu-type says it."
