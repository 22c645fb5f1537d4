"""What the objects of a cluster say about a deployment (pure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scepsy.core.plan import Replica
from scepsy.deploy.changes.observed import Observed, ObservedReplica, ReplicaState
from scepsy.deploy.kubernetes.fields import items, part
from scepsy.deploy.kubernetes.objects.labels import EPOCH
from scepsy.deploy.kubernetes.placed import RENDERED, replica_of
from scepsy.deploy.kubernetes.slices import RoutingTable

Json = dict[str, Any]

RESTARTS_MOST = 3
"""Restarts of a container that was never ready after which it counts as a crash loop."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One replica's workload and pods. One of the two may be missing: pods outlive the workload
    for as long as they end, and a workload whose quota is used up has no pods.
    """

    replica: Replica
    workload: Json | None
    pods: tuple[Json, ...]

    @property
    def pod(self) -> Json | None:
        """The pod that counts: one that is not ending, if there is one."""
        living = [one for one in self.pods if "deletionTimestamp" not in one["metadata"]]
        return next(iter((*living, *self.pods)), None)

    @property
    def epoch(self) -> int:
        return max(1, int(part(self.workload, "metadata", "labels").get(EPOCH, 1)))

    @property
    def ready(self) -> bool:
        """Whether its pod is ready and is the one that the workload asks for now."""
        if self.workload is None or self.pod is None:
            return False
        status = part(self.workload, "status")
        current = status.get("observedGeneration", 0) >= self.workload["metadata"]["generation"]
        updated = int(status.get("updatedReplicas", 0) or 0)
        return current and updated >= 1 and is_ready(self.pod)


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What was read from the cluster.

    Attributes:
        workloads, pods: those of the deployment's engines.
        lost: names of the nodes that do not answer.
        table: what the gateway was told.
    """

    workloads: Sequence[Json]
    pods: Sequence[Json]
    lost: frozenset[str]
    table: RoutingTable

    @property
    def seen(self) -> tuple[Seen, ...]:
        """Every replica that may hold a GPU, sorted by name."""
        workloads: dict[str, tuple[Replica, Json]] = {}
        for one in self.workloads:
            if (replica := replica_of(one)) is not None:
                workloads[replica.replica] = (replica, one)
        pods: defaultdict[str, list[Json]] = defaultdict(list)
        orphans: dict[str, Replica] = {}
        for one in self.pods:
            if (replica := replica_of(one)) is not None:
                pods[replica.replica].append(one)
                orphans[replica.replica] = replica
        return tuple(
            Seen(
                workloads[name][0] if name in workloads else orphans[name],
                workloads[name][1] if name in workloads else None,
                tuple(pods[name]),
            )
            for name in sorted({*workloads, *orphans})
        )

    def observed(self, digests: Mapping[str, str], silent: Collection[str] = ()) -> Observed:
        """As the waves want it. `digests` has, by replica, what its workload would be now; a
        replica that has none there is outdated. The engines of those in `silent` do not answer.
        """
        routed = {one.route.replica for one in self.table.replicas}
        return Observed(
            tuple(
                ObservedReplica(
                    replica=one.replica,
                    state="hung" if one.replica.replica in silent else self.state(one),
                    routed=one.replica.replica in routed,
                    epoch=one.epoch,
                    outdated=_digest(one) != digests.get(one.replica.replica),
                )
                for one in self.seen
            )
        )

    def state(self, one: Seen) -> ReplicaState:
        """The state of a replica. What its kubelet restarts is starting again."""
        if one.workload is None or self.is_lost(one):
            return "dead"
        if not one.ready:
            return "starting"
        return "drained" if one.replica.replica in self.table.drained else "ready"

    def is_lost(self, one: Seen) -> bool:
        """Whether its pod is on a node that does not answer."""
        return one.pod is not None and one.pod["spec"].get("nodeName") in self.lost


def is_ready(pod: Json) -> bool:
    """Whether the control plane counts a pod as ready."""
    if "deletionTimestamp" in pod["metadata"]:
        return False
    return _condition(pod)


def lost_nodes(nodes: Sequence[Json]) -> frozenset[str]:
    """The nodes whose kubelet the control plane has not heard of for too long."""
    return frozenset(node["metadata"]["name"] for node in nodes if not _condition(node))


def _condition(one: Json) -> bool:
    """Whether the Ready condition of a node or pod is true."""
    conditions = items(one, "status", "conditions")
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def restarts(pod: Json | None) -> int:
    """How often the containers of a pod were restarted."""
    return sum(int(one.get("restartCount", 0)) for one in _containers(pod))


def last_words(pod: Json | None) -> str:
    """The end of the log of the container that ended last, as its kubelet has kept it."""
    for one in _containers(pod):
        for state in ("state", "lastState"):
            ended = part(one, state, "terminated")
            if ended.get("exitCode", 0) != 0:
                return str(ended.get("message") or f"exit code {ended.get('exitCode')}")
    return ""


def _containers(pod: Json | None) -> list[Json]:
    return [
        *items(pod, "status", "initContainerStatuses"),
        *items(pod, "status", "containerStatuses"),
    ]


def _digest(one: Seen) -> str | None:
    return part(one.workload, "metadata", "annotations").get(RENDERED)
