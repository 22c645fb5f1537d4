"""The nodes of a Ray cluster, and what they offer (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scepsy.core.plan import Placement
from scepsy.deploy.ray import names


@dataclass(frozen=True, slots=True)
class RayNode:
    """One node as Ray's head sees it.

    Attributes:
        name: its name in plans: our label, or else its host name.
        node_id: Ray's identifier of it. A machine that comes back has another one.
        address: where other nodes reach it.
        resources: what it offers in total.
    """

    name: str
    node_id: str
    alive: bool
    address: str
    resources: Mapping[str, float]

    @property
    def by_name(self) -> bool:
        """Whether it gives out its GPUs by their names."""
        return any(one.startswith(f"{self.name}/gpu") for one in self.resources)


def nodes_of(listed: Iterable[Mapping[str, Any]]) -> tuple[RayNode, ...]:
    """The nodes in what `ray.nodes()` lists."""
    return tuple(
        RayNode(
            name=str(
                one.get("Labels", {}).get(names.NODE_LABEL)
                or one.get("NodeManagerHostname")
                or one["NodeManagerAddress"]
            ),
            node_id=str(one["NodeID"]),
            alive=bool(one["Alive"]),
            address=str(one["NodeManagerAddress"]),
            resources=dict(one.get("Resources", {})),
        )
        for one in listed
    )


def alive(nodes: Iterable[RayNode]) -> dict[str, RayNode]:
    """The living nodes by name."""
    return {node.name: node for node in nodes if node.alive}


def missing_gpus(
    placement: Placement,
    nodes: Sequence[RayNode],
    available: Mapping[str, float],
    ours: Mapping[str, float],
    holders: Mapping[str, Sequence[str]],
) -> str | None:
    """Why a placement cannot get its GPUs, as a sentence; None where it can.

    `available` are the resources that nobody has taken, `ours` those that the deployment has now,
    and `holders` the deployments that have a part of a GPU, by resource.
    """
    living = alive(nodes)
    wanted: dict[str, float] = {}
    for replica in placement.replicas:
        for part in replica.slices:
            if part.node not in living:
                known = ", ".join(sorted(living)) or "none"
                was = any(node.name == part.node for node in nodes)
                state = "is dead" if was else "is not in the Ray cluster"
                return (
                    f"node {part.node!r}, which the plan gives to {replica.replica}, {state}; "
                    f"living nodes: {known}"
                )
        for resource, share in names.gpu_resources(replica).items():
            wanted[resource] = wanted.get(resource, 0.0) + share
    for resource, share in sorted(wanted.items()):
        node = living[resource.rpartition("/gpu")[0]]
        if not node.by_name and node.resources.get("GPU", 0.0):
            continue  # which of its GPUs are free is found out when they are reserved
        if resource not in node.resources:
            return (
                f"node {node.name!r} does not offer GPU {resource!r}; start it with the line of "
                "`scepsy ray up`, or plan for the cluster as it is"
            )
        free = available.get(resource, 0.0) + ours.get(resource, 0.0)
        if share > free + 1e-6:
            by = ", ".join(holders.get(resource, ())) or "another program on this Ray cluster"
            return (
                f"GPU {resource!r} is taken: the plan needs {share:g} of it and {free:g} is free; "
                f"it is used by {by}. Take that down, or plan for the other GPUs"
            )
    return None
