"""A Kubernetes cluster for the contract of all backends, and what can be done to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection
from pathlib import Path

from scepsy.core.cluster import Cluster, Node
from scepsy.deploy.kubernetes.api import Json
from scepsy.deploy.kubernetes.backend import KubernetesBackend
from scepsy.testing.kubernetes.cluster import KubernetesCluster
from scepsy.testing.kubernetes.node_objects import NodeSpec
from scepsy.testing.node_contract import NodeSite

ENGINES = "app.kubernetes.io/component=engine"


class KubernetesSite(NodeSite):
    """Nodes with two GPUs each in a namespace of its own, and one without GPUs for gateways, as in
    clusters whose GPU nodes take nothing else. Pods have no volume in which weights stay.
    """

    keeps_weights = False

    def __init__(self, machines: KubernetesCluster, namespace: str, nodes: int = 2) -> None:
        self.machines, self.namespace = machines, namespace
        self.cluster = Cluster(nodes=tuple(Node(name=f"n{i}", gpus=2) for i in range(nodes)))
        self.backend = KubernetesBackend(
            kubeconfig=machines.kubeconfig, namespace=namespace, patience=60.0
        )
        self.flags = (
            *("--on", "kubernetes", "--namespace", namespace),
            *("--kubeconfig", str(machines.kubeconfig)),
        )

    def begin(self) -> None:
        self.machines.add_node(NodeSpec(name="cpu", gpus=0, subnet="10.88.100"))
        for index, node in enumerate(self.cluster.nodes):
            spec = NodeSpec(name=node.name, gpus=node.gpus, subnet=f"10.88.{index}", tainted=True)
            self.machines.add_node(spec)
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        self.machines.call(lambda api: api.post("/api/v1/namespaces", body))

    def end(self) -> None:
        place = f"/api/v1/namespaces/{self.namespace}"
        self.machines.call(lambda api: api.delete(place))
        for name in ("cpu", *(node.name for node in self.cluster.nodes)):
            self.machines.remove_node(name)

    def pods(self, selector: str = ENGINES) -> list[Json]:
        place = f"/api/v1/namespaces/{self.namespace}/pods"
        return self.machines.call(lambda api: api.get(place, labelSelector=selector))["items"]

    async def engines(self) -> Collection[str]:
        return {pod["metadata"]["uid"] for pod in self.pods()}

    async def kill_replica(self, name: str) -> None:
        self._signal(name, signal.SIGKILL)

    async def hang_replica(self, name: str) -> None:
        self._signal(name, signal.SIGSTOP)

    async def kill_node(self, name: str) -> None:
        self.machines.kill_node(name)

    def _signal(self, name: str, number: signal.Signals) -> None:
        pod = next(iter(self.pods(f"{ENGINES},scepsy/replica={name}")))
        address = pod["status"]["podIP"]
        for path in Path("/proc").iterdir():
            if path.name.isdigit() and _listens_at(path, address):
                os.kill(int(path.name), number)


def _listens_at(process: Path, address: str) -> bool:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"scepsy.engines.emulated" in words and address.encode() in words
