"""A whole Kubernetes cluster on this machine: a real control plane, and nodes of processes."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from scepsy.deploy.kubernetes.api import KubernetesApi, connected
from scepsy.testing.kubernetes.cluster_network import ClusterNetwork
from scepsy.testing.kubernetes.control_plane import VERSION, ControlPlane, control_plane
from scepsy.testing.kubernetes.kubelet import Kubelet
from scepsy.testing.kubernetes.node_objects import NodeSpec

Json = dict[str, Any]
T = TypeVar("T")

_WAIT = 60.0
"""Seconds that one command to the nodes may take."""


@dataclass(slots=True)
class KubernetesCluster:
    """A control plane and its nodes. The nodes run in a thread of their own, so that a test may
    use any event loop, and may block.

    Attributes:
        plane: the control plane.
        absent_images: images that no node can pull.
    """

    plane: ControlPlane
    folder: Path
    absent_images: set[str] = field(default_factory=set[str])
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _nodes: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, asyncio.Task[None]])
    _api: KubernetesApi | None = None
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def kubeconfig(self) -> Path:
        return self.plane.kubeconfig

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that run."""
        return tuple(self._nodes)

    def add_node(self, spec: NodeSpec) -> None:
        """Starts a node, and waits until it is registered."""
        self._do(self._add(spec))

    def kill_node(self, name: str) -> None:
        """Every process of the node is dead from now on, and its kubelet silent."""
        self._do(self._kill(name))

    def remove_node(self, name: str) -> None:
        """Kills a node, where it runs, and deletes its object and whatever was bound to it."""
        self._do(self._remove(name))

    def call(self, work: Callable[[KubernetesApi], Coroutine[Any, Any, T]]) -> T:
        """Does `work` with an administrator's rights."""
        api = self._api
        assert api is not None
        return self._do(work(api))

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_WAIT)

    async def _add(self, spec: NodeSpec) -> None:
        assert self._api is not None
        kubelet = Kubelet(
            api=self._api,
            node=spec,
            folder=self.folder / "nodes" / spec.name,
            boards=self.folder,
            has_image=lambda image: image not in self.absent_images,
            env=self._service_account,
            version=f"v{VERSION}",
        )
        self._nodes[spec.name] = asyncio.create_task(kubelet.run())
        while await self._api.find(f"/api/v1/nodes/{spec.name}") is None:
            if self._nodes[spec.name].done():
                self._nodes.pop(spec.name).result()
            await asyncio.sleep(0.05)

    async def _kill(self, name: str) -> None:
        task = self._nodes.pop(name)
        task.cancel()
        await asyncio.wait([task])

    async def _remove(self, name: str) -> None:
        assert self._api is not None
        if name in self._nodes:
            await self._kill(name)
        await self._api.delete(f"/api/v1/nodes/{name}")
        bound = await self._api.get("/api/v1/pods", fieldSelector=f"spec.nodeName={name}")
        for pod in bound["items"]:
            meta = pod["metadata"]
            path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
            if await self._api.find(path) is not None:
                await self._api.delete(path, {"gracePeriodSeconds": 0})

    async def _service_account(self, pod: Json, folder: Path) -> Mapping[str, str]:
        """A kubeconfig in place of the token that a kubelet mounts."""
        assert self._api is not None
        spec, namespace = pod["spec"], pod["metadata"]["namespace"]
        account = spec.get("serviceAccountName", "default")
        if account == "default" or spec.get("automountServiceAccountToken") is False:
            return {}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        token = (await self._api.post(path, {"spec": {}}))["status"]["token"]
        config = json.loads(self.kubeconfig.read_text())
        config["users"][0]["user"]["token"] = token
        config["contexts"][0]["context"]["namespace"] = namespace
        found = folder / "service-account.conf"
        found.touch(mode=0o600)
        found.write_text(json.dumps(config))
        return {"KUBECONFIG": str(found)}

    async def serve(self, ready: threading.Event) -> None:
        """The nodes' thread."""
        async with connected(self.kubeconfig) as api:
            self._api = api
            network = asyncio.create_task(ClusterNetwork(api).run())
            ready.set()
            await self._stopped.wait()
            for name in tuple(self._nodes):
                await self._kill(name)
            network.cancel()
            await asyncio.wait([network])

    def run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self.serve(ready))
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)


@contextmanager
def kubernetes_cluster(
    folder: Path, nodes: Sequence[NodeSpec] = (), *, node_grace: float = 8.0
) -> Generator[KubernetesCluster]:
    """Runs a cluster while the block runs. `folder` gets logs and certificates.

    Raises NotFound and EngineFailed as `control_plane` does.
    """
    with control_plane(folder / "control-plane", node_grace=node_grace) as plane:
        cluster = KubernetesCluster(plane, folder)
        ready = threading.Event()
        thread = threading.Thread(target=cluster.run, args=(ready,), name="nodes")
        thread.start()
        try:
            if not ready.wait(_WAIT):
                raise TimeoutError("the nodes' thread did not start")
            for spec in nodes:
                cluster.add_node(spec)
            yield cluster
        finally:
            cluster.stop()
            thread.join()
