"""The contract of all backends, on the local one."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncGenerator, Collection
from pathlib import Path

import pytest

from scepsy.core.cluster import Cluster, Node
from scepsy.deploy import LocalBackend
from scepsy.deploy.local.marks import marked
from scepsy.deploy.restarts import RestartPolicy
from scepsy.testing.deploy_contract import DeployContract, DeploySite


class LocalSite(DeploySite):
    """Two nodes that are both this machine: emulated engines count the memory of each GPU."""

    def __init__(self, root: Path) -> None:
        self.cluster = Cluster(nodes=tuple(Node(name=name, gpus=2) for name in ("n0", "n1")))
        self.backend = LocalBackend(root, restarts=RestartPolicy(hung_after=4.0))
        self.flags = ("--on", "local", "--state", str(root))

    async def engines(self) -> Collection[str]:
        deployment = self.backend.files.folder("default")
        found = marked(deployment)
        if not self.backend.files.names():
            return {str(one.pid) for one in found}
        current = self.backend.load("default")
        others = {one.pid for one in (current.gateway, current.supervisor) if one is not None}
        return {str(one.pid) for one in found if one.pid not in others}

    async def kill_replica(self, name: str) -> None:
        os.kill(self.pid(name), signal.SIGKILL)

    async def hang_replica(self, name: str) -> None:
        os.kill(self.pid(name), signal.SIGSTOP)

    def pid(self, name: str) -> int:
        return next(one.pid for one in self.backend.load("default").replicas if one.name == name)


class TestLocal(DeployContract):
    @pytest.fixture
    async def site(self, tmp_path: Path) -> AsyncGenerator[DeploySite]:
        site = LocalSite(tmp_path / "state")
        try:
            yield site
        finally:
            for name in site.backend.files.names():
                await site.backend.down(name, grace=0)
            for one in marked(site.backend.files.folder("default")):
                os.killpg(one.pid, signal.SIGKILL)
