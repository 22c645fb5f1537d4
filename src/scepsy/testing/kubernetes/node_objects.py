"""What a kubelet writes about its node and its pods (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

LEASE_SECONDS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """One machine.

    Attributes:
        name: its name, also the value of its label kubernetes.io/hostname.
        gpus: number of GPUs.
        shares: parts into which MPS divides each GPU; 1 for whole GPUs.
        subnet: the first three numbers of its pods' addresses, for example "10.88.1".
        tainted: whether it takes only pods that tolerate nvidia.com/gpu.
        cpu, memory: Kubernetes quantities.
    """

    name: str
    gpus: int
    shares: int = 1
    subnet: str
    tainted: bool = False
    cpu: str = "64"
    memory: str = "512Gi"

    @property
    def address(self) -> str:
        return f"{self.subnet}.1"

    @property
    def resource(self) -> str:
        """The extended resource by which pods ask for its GPUs."""
        return "nvidia.com/gpu" if self.shares == 1 else "nvidia.com/gpu.shared"

    @property
    def capacity(self) -> dict[str, str]:
        host = {"cpu": self.cpu, "memory": self.memory, "pods": "110"}
        return {**host, self.resource: str(self.gpus * self.shares)}


def node(spec: NodeSpec, labels: dict[str, str]) -> Json:
    taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": spec.name,
            "labels": {
                "kubernetes.io/hostname": spec.name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                **_gpu_labels(spec),
                **labels,
            },
        },
        "spec": {"taints": [taint] if spec.tainted else []},
    }


def _gpu_labels(spec: NodeSpec) -> dict[str, str]:
    """As NVIDIA's GPU feature discovery sets them."""
    if not spec.gpus:
        return {}
    return {
        "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
        "nvidia.com/gpu.memory": "81559",
        "nvidia.com/gpu.count": str(spec.gpus),
        "nvidia.com/gpu.replicas": str(spec.shares),
        "nvidia.com/gpu.sharing-strategy": "none" if spec.shares == 1 else "mps",
    }


def node_status(spec: NodeSpec, now: str, since: str, version: str) -> Json:
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "the process kubelet runs",
        "lastHeartbeatTime": now,
        "lastTransitionTime": since,
    }
    return {
        "status": {
            "capacity": spec.capacity,
            "allocatable": spec.capacity,
            "conditions": [condition],
            "addresses": [
                {"type": "InternalIP", "address": spec.address},
                {"type": "Hostname", "address": spec.name},
            ],
            "nodeInfo": {"kubeletVersion": version, "operatingSystem": "linux"},
        }
    }


def lease(name: str, now: str) -> Json:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease"},
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now.replace("Z", ".000000Z"),
        },
    }


@dataclass(slots=True)
class ContainerState:
    """One container of a pod, as its status shows it.

    Attributes:
        waiting: (reason, message) while it does not run.
        started: when its process started; None while none runs.
        passed: whether its startup probe has passed.
        ended: (exit code, when it started, when it ended, end of its log) of the last process.
        done: whether it will not be started again.
        ready: whether it may get calls.
        restarts: how often its process was started again.
    """

    name: str
    image: str
    waiting: tuple[str, str] = ("ContainerCreating", "")
    started: str | None = None
    passed: bool = False
    ended: tuple[int, str, str, str] | None = None
    done: bool = False
    ready: bool = False
    restarts: int = 0

    def status(self) -> Json:
        found: Json = {
            "name": self.name,
            "image": self.image,
            "imageID": "",
            "ready": self.ready,
            "started": self.started is not None and self.passed,
            "restartCount": self.restarts,
            "state": self._state(),
        }
        if self.ended is not None and not self.done:
            found["lastState"] = {"terminated": _terminated(self.ended)}
        return found

    def _state(self) -> Json:
        if self.started is not None:
            return {"running": {"startedAt": self.started}}
        if self.done and self.ended is not None:
            return {"terminated": _terminated(self.ended)}
        reason, message = self.waiting
        return {"waiting": {"reason": reason, "message": message}}


def _terminated(ended: tuple[int, str, str, str]) -> Json:
    code, started, finished, message = ended
    reason = "Completed" if code == 0 else "Error"
    return {
        "exitCode": code,
        "reason": reason,
        "startedAt": started,
        "finishedAt": finished,
        "message": message,
    }


def pod_status(
    spec: NodeSpec,
    *,
    address: str | None,
    since: str,
    init: Sequence[ContainerState],
    containers: Sequence[ContainerState],
    changed: dict[str, str],
) -> Json:
    """The status of a pod. `changed` says when each of its conditions changed last."""
    initialized = all(one.done and one.ended is not None and one.ended[0] == 0 for one in init)
    ready = bool(containers) and all(one.ready for one in containers)
    if containers and all(one.done for one in containers):
        good = all(one.ended is not None and one.ended[0] == 0 for one in containers)
        phase = "Succeeded" if good else "Failed"
    else:
        begun = initialized and all(one.started or one.ended for one in containers)
        phase = "Running" if begun else "Pending"
    conditions = [
        {"type": name, "status": str(value), "lastTransitionTime": changed.get(name, since)}
        for name, value in (
            ("Initialized", initialized),
            ("Ready", ready),
            ("ContainersReady", ready),
            ("PodScheduled", True),
        )
    ]
    status: Json = {
        "phase": phase,
        "conditions": conditions,
        "hostIP": spec.address,
        "startTime": since,
        "initContainerStatuses": [one.status() for one in init],
        "containerStatuses": [one.status() for one in containers],
    }
    if address is not None:
        status |= {"podIP": address, "podIPs": [{"ip": address}]}
    return {"status": status}
