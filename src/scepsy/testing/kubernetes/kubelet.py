"""A kubelet that runs the pods of its node as processes of this machine.

It registers its node, renews the lease, runs what the scheduler binds to the node, and posts what
became of it. What a process does not have is left out: users, read-only roots, network policies,
limits of memory and CPU. Unlike a real one it asks a probe again after 0.2 seconds until the first
success, and backs off for 1 to 10 seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from scepsy.deploy.kubernetes.api import ApiRefusal, KubernetesApi
from scepsy.engines import gpu_board
from scepsy.errors import ScepsyError
from scepsy.testing.kubernetes import node_objects
from scepsy.testing.kubernetes.clock import now
from scepsy.testing.kubernetes.devices import Devices
from scepsy.testing.kubernetes.node_objects import NodeSpec
from scepsy.testing.kubernetes.pod import Pod

Json = dict[str, Any]

HEARTBEAT = 1.0
"""Seconds between two renewals of a node's lease."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Kubelet:
    """The kubelet of one node.

    Attributes:
        folder: for the logs and volumes of its pods.
        boards: folder of the boards of the emulated GPUs.
        has_image: whether an image can be had.
        env: variables for every container of a pod, given its object and its folder.
    """

    api: KubernetesApi
    node: NodeSpec
    folder: Path
    boards: Path
    has_image: Callable[[str], bool]
    env: Callable[[Json, Path], Awaitable[Mapping[str, str]]]
    version: str
    labels: dict[str, str] = field(default_factory=dict[str, str])
    _pods: dict[str, Pod] = field(default_factory=dict[str, Pod])
    _runs: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, asyncio.Task[None]])
    _ends: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, asyncio.Task[None]])
    _numbers: cycle[int] = field(default_factory=lambda: cycle(range(2, 255)))
    _devices: Devices = field(init=False)

    def __post_init__(self) -> None:
        self._devices = Devices(self.node)

    async def run(self) -> None:
        """Runs the node until it is cancelled; then every process of its pods is dead, and nobody
        tells the API server.
        """
        try:
            await self._register()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._beat())
                tasks.create_task(self._follow())
        finally:
            for pod in self._pods.values():
                pod.kill()
            tasks = [*self._runs.values(), *self._ends.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _register(self) -> None:
        try:
            await self.api.post("/api/v1/nodes", node_objects.node(self.node, self.labels))
        except ApiRefusal as refusal:
            if refusal.reason != "AlreadyExists":
                raise
        await self._post_status(now())

    async def _beat(self) -> None:
        since, name = now(), self.node.name
        leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        with suppress(ApiRefusal):
            await self.api.post(leases, node_objects.lease(name, now()))
        while True:
            # The API server may be slow for a while on a busy machine.
            with suppress(ApiRefusal, ScepsyError):
                await self.api.patch(f"{leases}/{name}", node_objects.lease(name, now()), "merge")
                await self._post_status(since)
            await asyncio.sleep(HEARTBEAT)

    async def _post_status(self, since: str) -> None:
        body = node_objects.node_status(self.node, now(), since, self.version)
        await self.api.patch(f"/api/v1/nodes/{self.node.name}/status", body, "strategic")

    async def _follow(self) -> None:
        """Takes up every pod that is bound to the node, and lets go those that are deleted."""
        mine = {"fieldSelector": f"spec.nodeName={self.node.name}"}
        while True:
            try:
                listed = await self.api.get("/api/v1/pods", **mine)
                for pod in listed["items"]:
                    self._see(pod)
                for uid in set(self._pods) - {one["metadata"]["uid"] for one in listed["items"]}:
                    self._gone(uid)
                version = listed["metadata"]["resourceVersion"]
                async for event in self.api.changes("/api/v1/pods", version, **mine):
                    if event["type"] == "DELETED":
                        self._gone(event["object"]["metadata"]["uid"])
                    elif event["type"] != "BOOKMARK":
                        self._see(event["object"])
            except (ApiRefusal, ScepsyError) as error:
                _log.warning("node %s: %s", self.node.name, error)
                await asyncio.sleep(HEARTBEAT)

    def _see(self, pod: Json) -> None:
        uid, meta = pod["metadata"]["uid"], pod["metadata"]
        if meta.get("deletionTimestamp"):
            if uid not in self._ends:
                self._ends[uid] = self._start(self._end(pod))
            elif uid in self._pods:
                # It was deleted again, perhaps with a shorter grace.
                grace = float(meta["deletionGracePeriodSeconds"])
                asyncio.get_running_loop().call_later(grace + 2.0, self._pods[uid].kill)
        elif uid not in self._runs and pod["status"].get("phase") not in ("Succeeded", "Failed"):
            self._runs[uid] = self._start(self._run(pod))

    async def _run(self, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        try:
            self._pods[uid] = await self._taken_up(pod)
            await self._pods[uid].run()
        finally:
            self._devices.release(uid)

    async def _taken_up(self, pod: Json) -> Pod:
        meta = pod["metadata"]
        gpus = self._devices.take(meta["uid"], pod["spec"])
        boards = [str(gpu_board(self.boards, self.node.name, gpu)) for gpu in gpus]
        folder = self.folder / f"{meta['namespace']}_{meta['name']}_{meta['uid'][:8]}"
        folder.mkdir(parents=True, exist_ok=True)
        gpu_env = {
            "NVIDIA_VISIBLE_DEVICES": ",".join(map(str, gpus)) or "void",
            "SCEPSY_GPU_BOARDS": ":".join(boards),
        }
        taken = {one.address for one in self._pods.values()}
        addresses = (f"{self.node.subnet}.{number}" for number in self._numbers)
        return Pod(
            api=self.api,
            node=self.node,
            pod=pod,
            address=next(one for one in addresses if one not in taken),
            env={**gpu_env, **await self.env(pod, folder)},
            folder=folder,
            has_image=self.has_image,
        )

    async def _end(self, pod: Json) -> None:
        """Stops a pod that was deleted, and tells the API server that it has gone."""
        meta = pod["metadata"]
        known, run = self._pods.get(meta["uid"]), self._runs.get(meta["uid"])
        if known is not None:
            await known.stop(float(meta.get("deletionGracePeriodSeconds", 30)))
            known.clean()
        if run is not None:
            run.cancel()
            await asyncio.wait([run])
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
        try:
            path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
            await self.api.delete(path, options)
        except ApiRefusal as refusal:
            if refusal.status not in (404, 409):
                raise
        self._forget(meta["uid"])

    def _gone(self, uid: str) -> None:
        """A pod that was deleted without waiting for its node."""
        if uid in self._pods and uid not in self._ends:
            self._pods[uid].kill()
            self._runs[uid].cancel()
            self._forget(uid)

    def _forget(self, uid: str) -> None:
        for each in (self._pods, self._runs, self._ends):
            each.pop(uid, None)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._report)
        return task

    def _report(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            _log.error("node %s: %r", self.node.name, task.exception())
