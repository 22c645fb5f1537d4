"""A local deployment as the loop that executes waves sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from scepsy.core.plan import Replica
from scepsy.deploy.changes.observed import Observed, ObservedReplica, ReplicaState
from scepsy.deploy.gateway_client import GatewayCounts, drained
from scepsy.deploy.local.deployment_file import DeploymentFile
from scepsy.deploy.local.engine_starts import EngineStart
from scepsy.deploy.local.gateway_process import GatewayProcess
from scepsy.deploy.local.health import PATIENCE, Health, health
from scepsy.deploy.local.launching import launch_digest
from scepsy.deploy.local.state import RunningReplica, addresses
from scepsy.deploy.routes import routes_of
from scepsy.engines.process import stop_pid
from scepsy.errors import Unreachable


@dataclass(frozen=True, slots=True)
class LocalRuntime:
    """The deployment in `file`. Whoever uses it has locked it."""

    file: DeploymentFile
    _hung: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])

    @property
    def gateway(self) -> GatewayProcess:
        return GatewayProcess(self.file)

    async def observe(self) -> Observed:
        """What runs. A replica that misses several health checks in a row counts as hung."""
        replicas = self.file.current.replicas
        told = await self.gateway.counts()
        found = await asyncio.gather(*(self._health(one) for one in replicas))
        up = [one.name for one, well in zip(replicas, found, strict=True) if well == "ready"]
        waited_for = [one.name for one in replicas if one.phase == "starting" and one.name in up]
        self.file.change_each(waited_for, phase="serving")
        return Observed(
            tuple(
                self._seen(one, well, told)
                for one, well in zip(self.file.current.replicas, found, strict=True)
            ),
            weights=frozenset(self.file.current.weights),
            start_seconds=self.file.current.start_seconds,
        )

    async def calls(self) -> GatewayCounts:
        return await self.gateway.counts() or GatewayCounts.sum(())

    async def start(self, replica: Replica) -> None:
        await EngineStart(self.file).start(replica)

    async def route(self, names: Collection[str], joining: Collection[str]) -> None:
        current = self.file.current
        self.file.change_each(joining, epoch=current.epoch, phase="serving")
        served = [one for one in self.file.current.replicas if one.name in names]
        expected = {one.llm for one in current.plan.placement.replicas}
        routes = routes_of(current.plan, addresses(served), current.leaving)
        await self.gateway.route(routes, expected)

    async def drain(self, names: Collection[str], grace: float) -> Mapping[str, int]:
        self.file.change_each(names, phase="draining")
        access = self.gateway.access
        left: Mapping[str, int] = {}
        if access is not None:
            try:
                left = await drained(access, names, grace)
            except Unreachable:
                left = {}  # calls end with the gateway through which they came
        self.file.change_each(names, phase="drained")
        return left

    async def stop(self, names: Collection[str]) -> None:
        going = [one for one in self.file.current.replicas if one.name in names]
        await asyncio.gather(
            *(
                stop_pid(one.pid, one.born, grace=0 if (one.pid, one.born) in self._hung else 5)
                for one in going
            )
        )
        self.file.forget(names)

    async def _health(self, one: RunningReplica) -> Health:
        key = one.pid, one.born
        checks = 1 if one.phase == "starting" or key in self._hung else PATIENCE
        found = await health(*key, one.url, checks=checks)
        if found == "silent" and one.phase != "starting":
            self._hung.add(key)
        return found

    def _seen(
        self, one: RunningReplica, well: Health, told: GatewayCounts | None
    ) -> ObservedReplica:
        current = self.file.current
        llms = {llm.name: llm for llm in current.plan.llms}
        llm = llms.get(one.replica.llm)
        digest = None if llm is None else launch_digest(llm, current.plan.cluster, current.options)
        calls = () if told is None else told.replicas
        return ObservedReplica(
            replica=one.replica,
            state=_state(one, well, any(c.in_flight for c in calls if c.replica == one.name)),
            routed=any(c.routed for c in calls if c.replica == one.name),
            epoch=one.epoch,
            outdated=one.launched != digest,
        )


def _state(one: RunningReplica, well: Health, busy: bool) -> ReplicaState:
    if well == "dead":
        return "dead"
    if well == "silent":
        return "starting" if one.phase == "starting" else "hung"
    if one.phase == "draining":
        return "draining" if busy else "drained"
    return "drained" if one.phase == "drained" else "ready"
