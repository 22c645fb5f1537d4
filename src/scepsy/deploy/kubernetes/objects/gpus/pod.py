"""What a GPU profile gives to the pod of a replica, and what every profile offers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from scepsy.core.plan import Plan, Replica
from scepsy.deploy.kubernetes.objects.options import Object, RenderOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class PodGpus:
    """The parts of a pod by which it gets its GPUs.

    Attributes:
        limits: extended resources of the container, as requests and limits.
        claims: `resources.claims` of the container.
        pod_claims: `resourceClaims` of the pod.
        mps: whether the environment variables by which an MPS client limits itself take effect;
            they are left out otherwise.
        env: further environment variables of the container.
        labels, annotations: of the pod.
        volumes, mounts: of the pod, and of the container.
        scheduler: name of the scheduler; None for the cluster's own.
        runtime_class: name of the RuntimeClass; None for the default.
        host_ipc: whether the pod shares the node's shared memory, by which the clients of an MPS
            daemon that runs on the node talk to it.
    """

    limits: dict[str, str] = field(default_factory=dict[str, str])
    claims: tuple[Object, ...] = ()
    pod_claims: tuple[Object, ...] = ()
    mps: bool = False
    env: dict[str, str] = field(default_factory=dict[str, str])
    labels: dict[str, str] = field(default_factory=dict[str, str])
    annotations: dict[str, str] = field(default_factory=dict[str, str])
    volumes: tuple[Object, ...] = ()
    mounts: tuple[Object, ...] = ()
    scheduler: str | None = None
    runtime_class: str | None = None
    host_ipc: bool = False


class GpuProfile(Protocol):
    """One way in which pods get GPUs and parts of them."""

    def refusals(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        """Why this profile cannot carry the plan: sentences that name the replica or the node."""
        ...

    def lost(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        """What of the plan the objects do not express."""
        ...

    def needs(self, plan: Plan, options: RenderOptions) -> Iterator[str]:
        """What the cluster must have or be set to."""
        ...

    def objects(self, plan: Plan, options: RenderOptions, plan_id: str) -> Iterator[Object]:
        """Objects that several pods use."""
        ...

    def pod(self, plan: Plan, replica: Replica, options: RenderOptions) -> PodGpus:
        """What the pod of one replica gets."""
        ...
