"""Nodes from what Ray tells about its own (pure)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
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
    free: Mapping[str, Collection[int]],
    *,
    rack_label: str = RACK_LABEL,
) -> tuple[FoundNode, ...]:
    """The living nodes that have GPUs.

    `nodes` are the records of `ray.nodes()`; `free` has by node id the numbers of the GPUs that Ray
    gives out, or that we hold already. A node of a cluster that `scepsy ray up` started has a
    resource for each of its GPUs, by which Ray gives them out to nobody but us: all are free.
    """
    found = [
        _node(node, free.get(str(node["NodeID"]), ()), rack_label)
        for node in nodes
        if node.get("Alive")
    ]
    return tuple(sorted((node for node in found if node.gpus), key=lambda node: node.name))


def asks_for_gpus(node: Object) -> int:
    """How many GPUs have to be asked for on a node to learn which are free; 0 where they have names
    of their own, or where there are none.
    """
    resources = _resources(node)
    if not node.get("Alive") or _named(resources, _name(node)):
        return 0
    return math.floor(resources.get("GPU", 0.0) + ROUNDING)


def _node(node: Object, free: Collection[int], rack_label: str) -> FoundNode:
    labels, resources, name = _labels(node), _resources(node), _name(node)
    ours = _named(resources, name)
    here = ours or math.floor(resources.get("GPU", 0.0) + ROUNDING)
    product = _product(labels, resources)
    why = "another program uses it in Ray"
    gpus = tuple(
        FoundGpu(product=product, taken=None if ours or number in free else why)
        for number in range(here)
    )
    return FoundNode(
        name=name,
        gpus=gpus,
        linked=_linked(labels, here),
        rack=labels.get(rack_label),
        notes=tuple(_notes(name, gpus, product)),
    )


def _name(node: Object) -> str:
    named = _labels(node).get(NODE_LABEL) or node.get("NodeManagerHostname")
    return str(named or node["NodeManagerAddress"])


def _labels(node: Object) -> Mapping[str, str]:
    return cast(Mapping[str, str], node.get("Labels") or {})


def _resources(node: Object) -> Mapping[str, float]:
    return cast(Mapping[str, float], node.get("Resources") or {})


def _named(resources: Iterable[str], node: str) -> int:
    """The number of GPUs that are resources by name."""
    return sum(key.startswith(f"{node}/gpu") for key in resources)


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
