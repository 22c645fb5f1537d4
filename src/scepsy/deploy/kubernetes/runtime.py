"""A deployment on a cluster as the loop that executes waves sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import msgspec

from scepsy.core.plan import Replica
from scepsy.deploy.changes.observed import Observed
from scepsy.deploy.gateway_client import GatewayCounts
from scepsy.deploy.kubernetes.api import Json
from scepsy.deploy.kubernetes.deployment_state import ClusterDeployment
from scepsy.deploy.kubernetes.diagnosis import Trouble, trouble
from scepsy.deploy.kubernetes.gateway_objects import table_object
from scepsy.deploy.kubernetes.launches import container_launches
from scepsy.deploy.kubernetes.objects.options import LaunchIn
from scepsy.deploy.kubernetes.observing import ClusterView, Seen
from scepsy.deploy.kubernetes.placed import RENDERED, workload_of
from scepsy.deploy.kubernetes.reading import ClusterReading
from scepsy.deploy.kubernetes.resources import title
from scepsy.deploy.kubernetes.slices import RoutedReplica, RoutingTable
from scepsy.deploy.kubernetes.stuck import stuck
from scepsy.deploy.kubernetes.writing import Objects
from scepsy.deploy.routes import routes_of
from scepsy.errors import BadInput, Conflict, EngineFailed, ScepsyError, Unreachable

_POLL = 0.5
"""Seconds between two readings."""

_STOP_GRACE = 2
"""Seconds that a pod of a stopped replica has to end."""

_GATEWAY_TIMEOUT = 180.0
"""Seconds that the gateway has to start, and to take up new routes."""


@dataclass(frozen=True, slots=True)
class KubernetesRuntime:
    """The deployment `state`. Whoever uses it holds its Lease.

    Attributes:
        patience: seconds that an engine may lack a node, an image or a quota before its start
            counts as failed, and that a deleted one may take to go.
    """

    objects: Objects
    state: ClusterDeployment
    patience: float

    @property
    def reading(self) -> ClusterReading:
        return ClusterReading(self.objects)

    async def observe(self) -> Observed:
        view = await self.reading.view()
        known = {llm.name for llm in self.state.plan.llms}
        digests = {
            one.replica.replica: self._digest(one.replica)
            for one in view.seen
            if one.replica.llm in known
        }
        silent = await self.reading.silent(view)
        seen = view.observed({name: text for name, text in digests.items() if text}, silent)
        return replace(
            seen, weights=self.state.weights_at_hand, start_seconds=self.state.start_seconds
        )

    async def calls(self) -> GatewayCounts:
        return GatewayCounts.sum((await self.reading.counts()).values())

    async def start(self, replica: Replica) -> None:
        """Applies the workload and waits until its pod is ready."""
        workload = self.workload(replica)
        try:
            await self.objects.apply(workload)
            await self._ready(replica, workload)
        except BaseException as error:
            await asyncio.shield(self._unstart(replica.replica, error))
            raise

    async def _unstart(self, name: str, error: BaseException) -> None:
        """Stops an engine whose start failed. Raises that error with what is left, if anything."""
        try:
            await self.stop((name,))
        except (Conflict, Unreachable) as left:
            if isinstance(error, ScepsyError):
                raise type(error)(f"{error}; what is left of it: {left}") from error

    async def route(self, names: Collection[str], joining: Collection[str]) -> None:
        view = await self.reading.view()
        for one in view.seen:
            if one.replica.replica in joining and one.epoch != self.state.epoch:
                await self.objects.apply(self.workload(one.replica))
        serving = [one for one in view.seen if one.replica.replica in names]
        drained = [name for name in view.table.drained if name not in names]
        await self.tell(self._table(serving, drained))
        await self._taken_up(names)

    async def tell(self, table: RoutingTable) -> None:
        """Writes what the gateway follows."""
        await self.objects.apply(table_object(self.objects.options, table))

    async def drain(self, names: Collection[str], grace: float) -> Mapping[str, int]:
        deadline = asyncio.get_running_loop().time() + grace
        left = await self.reading.in_flight(names)
        while left and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_POLL)
            left = await self.reading.in_flight(names)
        table = await self.reading.table()
        drained = tuple(sorted({*table.drained, *names}))
        await self.tell(msgspec.structs.replace(table, drained=drained))
        return left

    async def stop(self, names: Collection[str]) -> None:
        """Deletes the workloads and waits until their pods have gone. Their calls have ended or
        were given up, so that no pod needs its usual grace. A pod on a node that does not answer
        is deleted without waiting for the node, which nobody routes to any more.

        Raises Conflict or Unreachable for what has not gone after `patience` seconds.
        """
        view = await self.reading.view()
        deadline = asyncio.get_running_loop().time() + self.patience
        while True:
            going = [one for one in view.seen if one.replica.replica in names]
            for one in going:
                if one.workload is not None and not _ending(one.workload):
                    await self.objects.delete(one.workload)
                for pod in one.pods:
                    if pod["spec"].get("nodeName") in view.lost:
                        await self.objects.delete(pod, gracePeriodSeconds=0)
                    elif pod["metadata"].get("deletionGracePeriodSeconds", 0) > _STOP_GRACE:
                        await self.objects.delete(pod, gracePeriodSeconds=_STOP_GRACE)
            if not going:
                break
            if asyncio.get_running_loop().time() > deadline:
                left = (each for one in going for each in (*one.pods, one.workload))
                raise stuck((each for each in left if each is not None), self.patience)
            await asyncio.sleep(_POLL)
            view = await self.reading.view()
        if set(view.table.drained) & set(names):
            drained = tuple(name for name in view.table.drained if name not in names)
            await self.tell(msgspec.structs.replace(view.table, drained=drained))

    def workload(self, replica: Replica) -> Json:
        """The workload of a replica of the plan. Raises BadInput where it cannot be made."""
        return workload_of(self.state.plan, replica, self._launch_in, self.objects.options)

    @property
    def table_title(self) -> str:
        return title(table_object(self.objects.options, RoutingTable()))

    async def closed(self, grace: float) -> dict[str, int]:
        """Waits until the gateways, which refuse new calls now, have none in flight, for at most
        `grace` seconds. Returns the calls that are left, by replica; "" for those that were not
        sent to one yet.
        """
        deadline = asyncio.get_running_loop().time() + grace
        while True:
            left = (await self.calls()).left
            if not left or asyncio.get_running_loop().time() > deadline:
                return left
            await asyncio.sleep(_POLL)

    @property
    def _launch_in(self) -> LaunchIn:
        state = self.state
        return container_launches(state.plan, python=state.python, seed=state.seed)

    def _digest(self, replica: Replica) -> str | None:
        """What its workload would be now; None where the plan could not have it."""
        nodes = {node.name for node in self.state.plan.cluster.nodes}
        if any(part.node not in nodes for part in replica.slices):
            return None
        try:
            return self.workload(replica)["metadata"]["annotations"][RENDERED]
        except BadInput:
            return None

    def _table(self, serving: Collection[Seen], drained: Collection[str]) -> RoutingTable:
        """Only replicas that have a workload get calls: another one is never coming back."""
        found = {one.replica.replica: one for one in serving if one.workload is not None}
        placed = [(one.replica, "http://pod") for one in found.values()]
        every = routes_of(self.state.plan, placed, self.state.leaving)
        replicas = tuple(
            RoutedReplica(
                workload=str(workload["metadata"]["name"]),
                stateful=workload["kind"] == "StatefulSet",
                route=route,
            )
            for route in every
            if (one := found.get(route.replica)) is not None
            and (workload := one.workload) is not None
        )
        hosted = tuple(route for route in every if route.replica not in found)
        return RoutingTable(
            epoch=self.state.epoch,
            replicas=replicas,
            hosted=hosted,
            drained=tuple(sorted(drained)),
            expected=tuple(sorted({one.llm for one in self.state.plan.placement.replicas})),
        )

    async def _taken_up(self, names: Collection[str]) -> None:
        """Waits until every gateway sends to exactly those of the replicas that are ready."""
        deadline = asyncio.get_running_loop().time() + _GATEWAY_TIMEOUT
        while True:
            view, counts, ready = await asyncio.gather(
                self.reading.view(), self.reading.counts(), self.reading.ready_gateways()
            )
            wanted = {one.replica.replica for one in view.seen if _serves(view, one, names)}
            if ready and all(
                name in counts and wanted <= _routed(counts[name]) <= {*names, *_hosted(view)}
                for name in ready
            ):
                return
            if asyncio.get_running_loop().time() > deadline:
                raise await self._gateway_trouble()
            await asyncio.sleep(_POLL)

    async def _gateway_trouble(self) -> Unreachable | EngineFailed:
        pods = await self.reading.gateway_pods()
        found = trouble({"status": {}}, pods, ())
        if found is not None:
            return EngineFailed(f"the gateway does not start: {found.text}")
        return Unreachable(
            f"the gateway did not take up its routes within {_GATEWAY_TIMEOUT:g} s; see "
            f"`kubectl -n {self.objects.options.namespace} logs deployment/"
            f"{self.objects.options.name}-gateway`"
        )

    async def _ready(self, replica: Replica, workload: Json) -> None:
        name, clock = replica.replica, asyncio.get_running_loop().time
        limit = clock() + self._ready_timeout(workload)
        troubled: float | None = None
        while True:
            view = await self.reading.view()
            one = next((one for one in view.seen if one.replica.replica == name), None)
            if one is not None and one.ready:
                return
            found = None if one is None else await self._trouble(one, workload)
            troubled = (troubled or clock()) if found is not None else None
            late = troubled is not None and clock() - troubled > self.patience
            if found is not None and (found.final or late):
                raise EngineFailed(f"{name} did not start: {found.text}")
            if clock() > limit:
                raise EngineFailed(
                    f"{name} did not start: {title(workload)} was not ready after "
                    f"{self._ready_timeout(workload):g} s; see `kubectl -n "
                    f"{self.objects.options.namespace} describe pods`"
                )
            await asyncio.sleep(_POLL)

    async def _trouble(self, one: Seen, workload: Json) -> Trouble | None:
        found = trouble(one.workload or {}, one.pods, ())
        if found is not None or one.pods or workload["kind"] != "StatefulSet":
            return found
        events = await self.objects.events(workload)
        return trouble(one.workload or {}, one.pods, events)

    def _ready_timeout(self, workload: Json) -> float:
        probe = workload["spec"]["template"]["spec"]["containers"][0]["startupProbe"]
        return self.patience + probe["failureThreshold"] * probe["periodSeconds"]


def _routed(counts: GatewayCounts) -> set[str]:
    return {one.replica for one in counts.replicas if one.routed}


def _hosted(view: ClusterView) -> set[str]:
    return {one.replica for one in view.table.hosted}


def _ending(obj: Json) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def _serves(view: ClusterView, one: Seen, names: Collection[str]) -> bool:
    return one.replica.replica in names and one.ready and not view.is_lost(one)
