"""Names in Ray: labels and resources of nodes, and what belongs to a deployment (pure)."""

from __future__ import annotations

import math

from scepsy.core.plan import Replica

NAMESPACE = "scepsy"
"""The Ray namespace of all our actors and placement groups."""

NODE_LABEL = "scepsy-node"
"""The label with the name that the node has in plans."""

DOMAIN_LABEL = "ray.io/gpu-domain"
"""The label of a node all of whose GPUs share NVLink. Ray's own topology scheduling reads it."""

DOMAIN_SIZE_LABEL = "scepsy-nvlink-domain"
"""The label with the number of GPUs that share NVLink, on a node with several such groups."""

GPU_TYPE_LABEL = "scepsy-gpu-type"
"""The label with the type of the node's GPUs."""

RACK_LABEL = "rack"
"""The label with the node's rack."""

HEAD_RESOURCE = "node:__internal_head__"
"""A resource that Ray gives to the node on which its head runs."""

_STEPS = 10_000
"""Ray counts resources in steps of one ten-thousandth."""


def gpu_resource(node: str, gpu: int) -> str:
    """The custom resource that stands for one GPU of a node."""
    return f"{node}/gpu{gpu}"


def gpu_resources(replica: Replica) -> dict[str, float]:
    """What an actor asks for that owns this replica's engine: the shares of its GPUs, by name.

    Shares are rounded down to Ray's steps, so that those of one GPU never exceed it.
    """
    return {
        gpu_resource(part.node, part.gpu): max(1, math.floor(part.gpu_share * _STEPS + 1e-6))
        / _STEPS
        for part in replica.slices
    }


def controller_name(deployment: str) -> str:
    """The actor that decides what runs in a deployment."""
    return f"{deployment}/controller"


def gateway_name(deployment: str) -> str:
    """The actor that owns the gateway's process."""
    return f"{deployment}/gateway"


def mps_name(node: str, gpu: int) -> str:
    """The actor that owns the MPS daemon of a shared GPU."""
    return f"mps/{gpu_resource(node, gpu)}"


def replica_name(deployment: str, epoch: int, replica: str) -> str:
    """The actor that owns one engine. A replica that is started anew by a later plan, or at another
    place, is another actor.
    """
    return f"{deployment}/{epoch}/{replica}"
