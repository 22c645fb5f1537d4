"""The gateway of a deployment on Ray, as its controller sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from scepsy.deploy.gateway_client import GatewayCounts
from scepsy.deploy.ray import names
from scepsy.deploy.ray.api import ActorGone, ActorOptions, ActorSilent
from scepsy.deploy.ray.gateway_actor import GatewayActor, gateway_key
from scepsy.deploy.ray.records import ProcessReport
from scepsy.deploy.ray.state import StoredDeployment
from scepsy.deploy.restarts import RestartPolicy
from scepsy.deploy.routes import key_variables
from scepsy.errors import EngineFailed, PortInUse, Unreachable
from scepsy.gateway.config import GatewayConfig, KeysConfig, Route

_READY_WITHIN = 120.0
"""Seconds until the gateway must serve, its actor's start included."""

_ATTEMPTS = 3
"""Failures in a row after which a gateway that is waited for is given up."""

_SENDS_MOST = 4
"""How often one call may be sent: several replicas of an LLM may be lost with one node."""

POLICY = RestartPolicy(hung_after=20.0, first_wait=0.5, longest_wait=10.0, most=1000)
"""A gateway is restarted for ever: without it nothing serves."""


@dataclass(frozen=True, slots=True)
class RayGateway:
    """The gateway of the deployment in `stored`."""

    stored: StoredDeployment

    async def route(
        self, routes: Sequence[Route], expected: Collection[str], fenced: Collection[str]
    ) -> None:
        """Gives the gateway these routes; starts it where none runs. Calls at `fenced` replicas are
        sent elsewhere. Raises Unreachable, EngineFailed or PortInUse.
        """
        handle = await self._running(routes)
        encoded = msgspec.json.encode(tuple(routes))
        await self._ask(handle, "route", encoded, sorted(expected), sorted(fenced))

    async def counts(self) -> GatewayCounts | None:
        """Its counts of calls; None where there is no gateway, or it does not answer now."""
        try:
            handle = await self.stored.api.find(self._name)
            return msgspec.json.decode(await self._ask(handle, "counts"), type=GatewayCounts)
        except (ActorGone, Unreachable):
            return None

    async def report(self) -> ProcessReport:
        """How the gateway is; "dead" where there is none."""
        try:
            handle = await self.stored.api.find(self._name)
            return msgspec.json.decode(await self._ask(handle, "report"), type=ProcessReport)
        except (ActorGone, Unreachable):
            return ProcessReport(state="dead")

    async def drained(self, replicas: Collection[str], grace: float) -> Mapping[str, int]:
        """See `gateway_client.drained`. Where no gateway answers, its calls have ended with it."""
        # Not one long question: Ray's actor may answer no other one meanwhile.
        ends = time.monotonic() + grace
        while (told := await self.counts()) is not None:
            left = told.at(replicas)
            if not left or time.monotonic() >= ends:
                return left
            await asyncio.sleep(0.2)
        return {}

    async def closed(self, grace: float) -> Mapping[str, int]:
        """See `gateway_client.closed`. Where no gateway answers, its calls have ended with it."""
        ends = time.monotonic() + grace
        left: Mapping[str, int] = {}
        while True:
            try:  # each time: new routes, as when a node is lost, have opened it again
                await self._ask(await self.stored.api.find(self._name), "close")
            except (ActorGone, Unreachable):
                return left
            told = await self.counts()
            left = {} if told is None else told.left
            if not left or time.monotonic() >= ends:
                return left
            await asyncio.sleep(0.2)

    async def stop(self) -> None:
        """Ends the gateway and forgets its routes."""
        with suppress(ActorGone, Unreachable):  # with the actor ends its process
            await self._ask(await self.stored.api.find(self._name), "stop")
        await self.stored.api.kill(self._name)
        await self.stored.api.delete(gateway_key(self.stored.current.name))

    @property
    def _name(self) -> str:
        return names.gateway_name(self.stored.current.name)

    async def _running(self, routes: Sequence[Route]) -> Any:
        """A handle to the gateway's actor, whose process is ready."""
        current = self.stored.current
        config = GatewayConfig(
            host="0.0.0.0",
            port=current.port,
            routes=tuple(routes),
            traces=current.traces,
            max_sends=_SENDS_MOST,
            key_variables=key_variables(current.plan),
            keys=KeysConfig(mode="off"),  # whoever reaches Ray's nodes can run code there anyhow
        )
        node = current.gateway_node
        where = {names.HEAD_RESOURCE: 0.001}
        labels = {"label_selector": {names.NODE_LABEL: node}} if node else {}
        handle = await self.stored.api.create(
            GatewayActor,
            ActorOptions(self._name, {} if node else where, labels),
            current.name,
            msgspec.json.encode(config),
            msgspec.json.encode(POLICY),
        )
        try:
            async with asyncio.timeout(_READY_WITHIN):
                report = await self._ready(handle)
        except TimeoutError:
            on = f"node {node!r}" if node else "the head's node"
            raise EngineFailed(
                f"the gateway on {on} was not ready after {_READY_WITHIN:g} s"
            ) from None
        port = int(report.url.rpartition(":")[2])
        if port != current.port:
            await self.stored.change(port=port)
        return handle

    async def _ready(self, handle: Any) -> ProcessReport:
        while True:
            try:
                told = await self._ask(handle, "report")
            except Unreachable:
                await asyncio.sleep(0.2)
                continue
            report = msgspec.json.decode(told, type=ProcessReport)
            if report.state == "ready":
                return report
            if report.failures >= _ATTEMPTS:
                taken = "choose another port" in report.last_words
                raise (PortInUse if taken else EngineFailed)(report.last_words)
            await asyncio.sleep(0.1)

    async def _ask(self, handle: Any, method: str, *arguments: object, within: float = 15.0) -> Any:
        try:
            return await self.stored.api.ask(handle, method, *arguments, within=within)
        except ActorSilent as silent:
            raise Unreachable(f"the gateway's actor does not answer: {silent}") from silent
