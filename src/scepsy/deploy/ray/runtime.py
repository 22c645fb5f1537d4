"""A deployment on Ray as the loop that executes waves sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from scepsy.core.plan import Replica
from scepsy.deploy.changes.observed import Observed, ObservedReplica, ReplicaState
from scepsy.deploy.gateway_client import GatewayCounts
from scepsy.deploy.local.launching import launch_digest
from scepsy.deploy.ray import names as ray_names
from scepsy.deploy.ray.api import ActorGone, ActorOptions, ActorSilent, RayApi
from scepsy.deploy.ray.engine_actor import EngineActor
from scepsy.deploy.ray.gateway import RayGateway
from scepsy.deploy.ray.groups import strategy
from scepsy.deploy.ray.health import answers
from scepsy.deploy.ray.nodes import alive
from scepsy.deploy.ray.records import EngineOrder, KnownReplica, ProcessReport
from scepsy.deploy.ray.shared_gpus import SharedGpus, shares
from scepsy.deploy.ray.state import StoredDeployment
from scepsy.deploy.routes import routes_of
from scepsy.errors import EngineFailed

PLACED_WITHIN = 90.0
"""Seconds until an actor must run, which is a new process on a node that may be busy."""

_POLL = 0.2
"""Seconds between two questions to an actor whose engine starts."""

_QUICK = 2.0
"""Seconds that an actor has to answer while others wait for it."""


@dataclass(slots=True)
class RayRuntime:
    """The deployment in `stored`. Only its controller uses it.

    Attributes:
        silent: since when actors have not answered, by replica, in seconds of the monotonic clock.
        hung: replicas that answered no health check when `find_hung` asked them.
        given_up: replicas whose engines ended so often that they are not restarted any more.
    """

    stored: StoredDeployment
    silent: dict[str, float] = field(default_factory=dict[str, float])
    given_up: set[str] = field(default_factory=set[str])
    hung: set[str] = field(default_factory=set[str])

    @property
    def api(self) -> RayApi:
        return self.stored.api

    @property
    def gateway(self) -> RayGateway:
        return RayGateway(self.stored)

    async def observe(self) -> Observed:
        """What runs. A replica on a dead node is dead, whatever its engine may still answer."""
        replicas = self.stored.current.replicas
        living = alive(await self.api.nodes())
        told = await self.gateway.counts()
        reports = await asyncio.gather(*(self.report(one) for one in replicas))
        return Observed(
            tuple(
                self._seen(one, report, told, one.nodes <= living.keys())
                for one, report in zip(replicas, reports, strict=True)
            ),
            weights=frozenset(self.stored.current.weights),
            start_seconds=self.stored.current.start_seconds,
        )

    async def follow(self) -> bool:
        """Notes the addresses of engines that their actors have started again, which are new ones.
        Returns whether there are any.
        """
        living = alive(await self.api.nodes()).keys()
        known = [one for one in self.stored.current.replicas if one.url and one.nodes <= living]
        reports = await asyncio.gather(*(self.report(one) for one in known))
        moved = {
            one.name: report.url
            for one, report in zip(known, reports, strict=True)
            if report is not None and report.state == "ready" and report.url != one.url
        }
        for name, url in moved.items():
            await self.stored.change_each([name], url=url)
        return bool(moved)

    async def find_hung(self) -> None:
        """Asks every engine on a living node whether it is well, and does not wait until its actor
        has noticed that it hangs.
        """
        living = alive(await self.api.nodes()).keys()
        asked = [one for one in self.stored.current.replicas if one.url and one.nodes <= living]
        well = await asyncio.gather(*(answers(one.url) for one in asked))
        self.hung = {one.name for one, good in zip(asked, well, strict=True) if not good}

    async def calls(self) -> GatewayCounts:
        return await self.gateway.counts() or GatewayCounts.sum(())

    async def start(self, replica: Replica) -> None:
        known = self.stored.find(replica.replica) or self._new(replica)
        await self.stored.put(known)
        try:
            await SharedGpus(self.api).begin(replica, self.stored.current)
            url = await self._started(known)
        except EngineFailed:
            await self.api.kill(self._actor(known))
            await self.stored.forget([known.name])
            raise
        await self.stored.change_each([known.name], phase="serving", url=url)

    async def route(self, names: Collection[str], joining: Collection[str]) -> None:
        epoch = self.stored.current.epoch
        await self.stored.change_each(joining, epoch=epoch, phase="serving")
        await self.route_to(names)

    async def route_to(self, wanted: Collection[str]) -> None:
        """Routes to these replicas as far as their nodes live. Calls at replicas on dead nodes are
        taken away from them.
        """
        current = self.stored.current
        living = alive(await self.api.nodes()).keys()
        served = [one for one in current.replicas if one.name in wanted and one.nodes <= living]
        fenced = {one.name for one in current.replicas if not one.nodes <= living}
        addresses = [(one.replica, one.url) for one in served if one.url]
        expected = {one.llm for one in current.plan.placement.replicas}
        await self.gateway.route(routes_of(current.plan, addresses), expected, fenced)

    async def drain(self, names: Collection[str], grace: float) -> Mapping[str, int]:
        await self.stored.change_each(names, phase="draining")
        left = await self.gateway.drained(names, grace)
        await self.stored.change_each(names, phase="drained")
        return left

    async def stop(self, names: Collection[str]) -> None:
        going = [one for one in self.stored.current.replicas if one.name in names]
        await asyncio.gather(*(self.end(one) for one in going))
        await self.stored.forget(names)
        self.hung -= set(names)

    async def end(self, one: KnownReplica) -> None:
        """Stops the engine, where its node is reached, and ends its actor."""
        living = alive(await self.api.nodes())
        if one.nodes <= living.keys():
            with suppress(ActorGone, ActorSilent):  # with the actor ends its engine
                await self.api.ask(await self.api.find(self._actor(one)), "stop")
        await self.api.kill(self._actor(one))
        if shares(one.replica, self.stored.current):
            await SharedGpus(self.api).end(one.replica)

    async def report(self, one: KnownReplica) -> ProcessReport | None:
        """What the replica's actor says; "dead" where it is gone, None where it does not answer."""
        try:
            handle = await self.api.find(self._actor(one))
            told = await self.api.ask(handle, "report", within=_QUICK)
        except ActorGone:
            return ProcessReport(state="dead", last_words="its actor is gone")
        except ActorSilent:
            self.silent.setdefault(one.name, time.monotonic())
            return None
        self.silent.pop(one.name, None)
        report = msgspec.json.decode(told, type=ProcessReport)
        (self.given_up.add if report.state == "failed" else self.given_up.discard)(one.name)
        return report

    async def _started(self, known: KnownReplica) -> str:
        """The engine's URL, once it is ready. Raises EngineFailed."""
        handle = await self._made(known)
        begun = time.monotonic()
        placed = False
        while True:
            try:
                told = await self.api.ask(handle, "report", within=_QUICK)
            except ActorGone as gone:
                raise EngineFailed(f"the actor of {known.name} has ended: {gone}") from gone
            except ActorSilent:
                await self._check_waiting(known, begun, placed)
                continue
            placed = True
            report = msgspec.json.decode(told, type=ProcessReport)
            if report.state == "ready":
                return report.url
            if (report.failures and not known.url) or report.state == "failed":
                raise EngineFailed(report.last_words)
            await asyncio.sleep(_POLL)

    async def _check_waiting(self, known: KnownReplica, begun: float, placed: bool) -> None:
        """Raises EngineFailed where there is no use in waiting for the actor any longer."""
        living = alive(await self.api.nodes())
        lost = known.nodes - living.keys()
        if lost:
            raise EngineFailed(f"{known.name} cannot start: node {min(lost)!r} is dead")
        waited = time.monotonic() - begun
        if not placed and waited > PLACED_WITHIN:
            asked = ", ".join(ray_names.gpu_resources(known.replica))
            raise EngineFailed(
                f"Ray has not placed {known.name} for {waited:.0f} s: it waits for {asked}; see "
                "with `ray status -v` who has them"
            )

    async def _made(self, known: KnownReplica) -> Any:
        current = self.stored.current
        order = EngineOrder(
            deployment=current.name,
            epoch=known.started,
            replica=known.replica,
            llm=next(llm for llm in current.plan.llms if llm.name == known.replica.llm),
            gpu_type=current.plan.cluster.nodes[0].gpu_type,
            gpu_memory=current.plan.cluster.gpu_memory,
            gpus=tuple(part.gpu for part in known.replica.slices),
            options=current.options,
            policy=current.policy,
        )
        options = await self._placing(known)
        return await self.api.create(EngineActor, options, msgspec.json.encode(order))

    async def _placing(self, known: KnownReplica) -> ActorOptions:
        """Where the actor goes: to the GPUs of its replica by their names, or into the placement
        group that holds the first of them. There it takes its share of the GPU, so that Ray counts
        it; the actor of a group of GPUs takes none, since all are held for the deployment.
        """
        first = known.replica.slices[0]
        held = {one.gpu: one.group for one in self.stored.current.held}
        group = held.get((first.node, first.gpu))
        if group is None:
            return ActorOptions(self._actor(known), ray_names.gpu_resources(known.replica))
        share = next(iter(ray_names.gpu_resources(known.replica).values()))
        options = {
            "num_gpus": share if known.replica.tp == 1 else 0,
            "scheduling_strategy": await self.api.in_thread(lambda: strategy(group)),
        }
        return ActorOptions(self._actor(known), {}, options)

    def _new(self, replica: Replica) -> KnownReplica:
        current = self.stored.current
        llm = next(llm for llm in current.plan.llms if llm.name == replica.llm)
        digest = launch_digest(llm, current.plan.cluster, current.options)
        epoch = current.epoch
        return KnownReplica(replica=replica, epoch=epoch, started=epoch, digest=digest)

    def _actor(self, one: KnownReplica) -> str:
        return ray_names.replica_name(self.stored.current.name, one.started, one.name)

    def _seen(
        self, one: KnownReplica, report: ProcessReport | None, told: GatewayCounts | None, on: bool
    ) -> ObservedReplica:
        current = self.stored.current
        llm = next((llm for llm in current.plan.llms if llm.name == one.replica.llm), None)
        digest = None if llm is None else launch_digest(llm, current.plan.cluster, current.options)
        calls = () if told is None else told.replicas
        busy = any(each.in_flight for each in calls if each.replica == one.name)
        return ObservedReplica(
            replica=one.replica,
            state=self._state(one, report, busy) if on else "dead",
            routed=any(each.routed for each in calls if each.replica == one.name),
            epoch=one.epoch,
            outdated=one.digest != digest,
        )

    def _state(self, one: KnownReplica, report: ProcessReport | None, busy: bool) -> ReplicaState:
        if one.name in self.hung:
            return "hung"
        if report is None:
            since = self.silent.get(one.name, time.monotonic())
            long = time.monotonic() - since > self.stored.current.policy.hung_after
            return "hung" if long else "starting"
        if report.state == "failed" or (report.state == "dead" and not report.failures):
            return "dead"
        if report.state != "ready":
            return "starting"
        if one.phase == "draining":
            return "draining" if busy else "drained"
        return "drained" if one.phase == "drained" else "ready"
