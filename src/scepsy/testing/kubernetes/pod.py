"""One pod on a node: its volumes, its init containers in turn, its containers side by side."""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scepsy.deploy.kubernetes.api import ApiRefusal, KubernetesApi
from scepsy.testing.kubernetes import commands
from scepsy.testing.kubernetes.clock import now
from scepsy.testing.kubernetes.container import Container
from scepsy.testing.kubernetes.node_objects import ContainerState, NodeSpec, pod_status

Json = dict[str, Any]

_PULL_RETRY = 1.0


@dataclass(slots=True)
class Pod:
    """A pod that its node runs.

    Attributes:
        pod: the object as it was when the pod came to the node.
        address: its address.
        env: variables that the node adds to each container.
        folder: for its logs and volumes.
        has_image: whether an image can be had.
    """

    api: KubernetesApi
    node: NodeSpec
    pod: Json
    address: str
    env: Mapping[str, str]
    folder: Path
    has_image: Callable[[str], bool]
    _since: str = field(default_factory=now)
    _changed: dict[str, str] = field(default_factory=dict[str, str])
    _running: list[Container] = field(default_factory=list[Container])
    _dirty: asyncio.Event = field(default_factory=asyncio.Event)
    _ending: bool = False
    _secrets: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    @property
    def path(self) -> str:
        meta = self.pod["metadata"]
        return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"

    async def run(self) -> None:
        """Runs the pod until its containers have ended for good, and posts its status."""
        spec = self.pod["spec"]
        init = [_state(one) for one in spec.get("initContainers", ())]
        containers = [_state(one) for one in spec["containers"]]
        poster = asyncio.create_task(self._post(init, containers))
        try:
            self._dirty.set()
            places = await self._volumes()
            await self._read_secrets()
            await self._pull([*init, *containers])
            once = "OnFailure" if spec.get("restartPolicy", "Always") != "Never" else "Never"
            for state, part in zip(init, spec.get("initContainers", ()), strict=True):
                await self._container(part, state, places, once).run()
            if not self._ending:
                restarts = spec.get("restartPolicy", "Always")
                async with asyncio.TaskGroup() as tasks:
                    for state, part in zip(containers, spec["containers"], strict=True):
                        one = self._container(part, state, places, restarts)
                        tasks.create_task(one.run())
            self._dirty.set()
            await asyncio.sleep(0.1)
        finally:
            poster.cancel()
            await asyncio.wait([poster])

    async def stop(self, grace: float) -> None:
        """Stops its containers."""
        self._ending = True
        await asyncio.gather(*(one.stop(grace) for one in self._running))

    def kill(self) -> None:
        """Kills its containers at once."""
        self._ending = True
        for one in self._running:
            one.kill()

    def _container(
        self, part: Json, state: ContainerState, places: Mapping[str, str], restarts: str
    ) -> Container:
        mounted = {
            mount["mountPath"]: places[mount["name"]]
            for mount in part.get("volumeMounts", ())
            if mount["name"] in places
        }
        hook = part.get("lifecycle", {}).get("preStop", {}).get("exec")
        own = commands.environment(part, self.pod, self.address, mounted, self._secrets)
        one = Container(
            spec=part,
            argv=commands.argv(part, self.address, mounted),
            # What would be 127.0.0.1 in a network of its own.
            env={"POD_IP": self.address, **self.env, **own},
            pre_stop=commands.argv(hook, self.address, mounted) if hook else (),
            address=self.address,
            restarts=restarts,
            log=self.folder / f"{part['name']}.log",
            state=state,
            changed=self._dirty.set,
        )
        self._running.append(one)
        return one

    async def _volumes(self) -> dict[str, str]:
        """By name of the volume, the folder that stands in for it. A ConfigMap or Secret that is
        not there yet is waited for, as a kubelet does.
        """
        places: dict[str, str] = {}
        namespace = self.pod["metadata"]["namespace"]
        for volume in self.pod["spec"].get("volumes", ()):
            place = self.folder / "volumes" / volume["name"]
            place.mkdir(parents=True, exist_ok=True)
            places[volume["name"]] = str(place)
            if "configMap" in volume:
                found = await self._await("configmaps", namespace, volume["configMap"]["name"])
                for key, value in found.get("data", {}).items():
                    (place / key).write_text(value)
            elif "secret" in volume:
                found = await self._await("secrets", namespace, volume["secret"]["secretName"])
                for key, value in found.get("data", {}).items():
                    (place / key).write_bytes(base64.b64decode(value))
        return places

    async def _read_secrets(self) -> None:
        """Reads the Secrets that variables come from, and waits for those that are not there."""
        spec, namespace = self.pod["spec"], self.pod["metadata"]["namespace"]
        for part in [*spec.get("initContainers", ()), *spec["containers"]]:
            for name in commands.secrets_of(part):
                found = await self._await("secrets", namespace, name)
                self._secrets[name] = {
                    key: base64.b64decode(value).decode() for key, value in found["data"].items()
                }

    async def _await(self, kind: str, namespace: str, name: str) -> Json:
        while True:
            found = await self.api.find(f"/api/v1/namespaces/{namespace}/{kind}/{name}")
            if found is not None:
                return found
            await asyncio.sleep(_PULL_RETRY)

    async def _pull(self, states: list[ContainerState]) -> None:
        """Waits for ever where an image cannot be had, as a kubelet does."""
        for state in states:
            while not self.has_image(state.image):
                state.waiting = ("ImagePullBackOff", f'Back-off pulling image "{state.image}"')
                self._dirty.set()
                await asyncio.sleep(_PULL_RETRY)
            state.waiting = ("PodInitializing", "")

    async def _post(self, init: list[ContainerState], containers: list[ContainerState]) -> None:
        before: Json = {}
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            body = self._status(init, containers)
            for one in body["status"]["conditions"]:
                if before.get(one["type"]) != one["status"]:
                    before[one["type"]] = one["status"]
                    self._changed[one["type"]] = one["lastTransitionTime"] = now()
            try:
                await self.api.patch(f"{self.path}/status", body, "strategic")
            except ApiRefusal as refusal:
                if refusal.status != 404:
                    raise

    def _status(self, init: list[ContainerState], containers: list[ContainerState]) -> Json:
        return pod_status(
            self.node,
            address=self.address,
            since=self._since,
            init=init,
            containers=containers,
            changed=self._changed,
        )

    def clean(self) -> None:
        """Removes its volumes; logs stay."""
        shutil.rmtree(self.folder / "volumes", ignore_errors=True)


def _state(part: Json) -> ContainerState:
    return ContainerState(part["name"], part["image"])
