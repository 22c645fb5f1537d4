"""The Ray backend: `--on ray --address ...`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from scepsy import errors
from scepsy.core.plan import Plan
from scepsy.deploy.backend import Applied, OnProgress, TakenDown
from scepsy.deploy.naming import check_deployment_name
from scepsy.deploy.ray import names
from scepsy.deploy.ray.api import ActorGone, ActorOptions, ActorSilent, RayApi
from scepsy.deploy.ray.connection import connect
from scepsy.deploy.ray.controller_actor import ControllerActor
from scepsy.deploy.ray.records import Request, Told
from scepsy.deploy.ray.state import load
from scepsy.deploy.restarts import RestartPolicy
from scepsy.deploy.routes import hosted_routes
from scepsy.deploy.startable import check_startable
from scepsy.deploy.status import Status
from scepsy.engines import EngineOptions
from scepsy.errors import NotFound, ScepsyError, Unreachable
from scepsy.gateway.config import GRACE, check_routes

_ANSWERS_WITHIN = 120.0
"""Seconds until a controller must answer: it may have to be moved to a restarted head first."""


def _silent(_: str) -> None: ...


@dataclass(slots=True)
class RayBackend:
    """Deployments on the Ray cluster at `address`. See `Backend` for what it promises.

    A controller in the cluster makes the changes. A change therefore goes on when the command that
    asked for it is killed, and any machine can ask for the next one.

    Attributes:
        options: for engines that are started from now on. Their host is that of their node.
        restarts: when engines that end or hang are restarted.
        gateway_node: node on which gateways of new deployments run; empty for the head's.
    """

    address: str
    options: EngineOptions = field(default_factory=EngineOptions)
    gateway_node: str = ""
    restarts: RestartPolicy = field(default_factory=RestartPolicy)

    async def apply(
        self,
        plan: Plan,
        *,
        name: str = "default",
        port: int = 0,
        traces: Path | None = None,
        grace: float = GRACE,
        allow_dip: bool = False,
        on_progress: OnProgress = _silent,
    ) -> Applied:
        """See `Backend.apply`. `traces` is a folder on the gateway's node."""
        request = self._request(plan, port, traces, grace, allow_dip)
        async with self._controller(name, first=True) as controller:
            result = await self._job(controller, on_progress, "apply", request)
        return msgspec.json.decode(result, type=Applied)

    async def preview(
        self, plan: Plan, *, name: str = "default", allow_dip: bool = False
    ) -> tuple[str, ...]:
        """See `Backend.preview`."""
        request = self._request(plan, 0, None, 0.0, allow_dip)
        async with self._controller(name, first=True) as controller:
            return tuple(await self._ask(controller, "preview", request))

    async def status(self, name: str = "default") -> Status:
        """See `Backend.status`."""
        async with self._controller(name) as controller:
            return msgspec.json.decode(await self._ask(controller, "status"), type=Status)

    async def plan(self, name: str = "default") -> Plan:
        """The plan that runs, which the controller may have placed anew. Raises BadInput for a bad
        name, and NotFound.
        """
        check_deployment_name(name)
        await asyncio.to_thread(connect, self.address)
        found = await load(RayApi(), name)
        if found is None:
            raise NotFound(f"there is no deployment {name!r} on the Ray cluster at {self.address}")
        return found.plan

    async def repair(self, name: str = "default", *, on_progress: OnProgress = _silent) -> Applied:
        """See `Backend.repair`. The controller repairs by itself, too."""
        async with self._controller(name) as controller:
            result = await self._job(controller, on_progress, "repair")
        return msgspec.json.decode(result, type=Applied)

    async def down(self, name: str = "default", *, grace: float = GRACE) -> TakenDown:
        """See `Backend.down`."""
        async with self._controller(name) as controller:
            result = await self._job(controller, _silent, "down", grace)
        return msgspec.json.decode(result, type=TakenDown)

    def _request(
        self, plan: Plan, port: int, traces: Path | None, grace: float, allow_dip: bool
    ) -> bytes:
        check_startable(plan)
        check_routes(hosted_routes(plan))
        return msgspec.json.encode(
            Request(
                plan=plan,
                options=self.options,
                port=port,
                traces=None if traces is None else str(traces),
                grace=grace,
                allow_dip=allow_dip,
                gateway_node=self.gateway_node,
                policy=self.restarts,
            )
        )

    @asynccontextmanager
    async def _controller(self, name: str, *, first: bool = False) -> AsyncGenerator[Any]:
        """The controller of a deployment, which is made where `first` allows it. One that has no
        deployment afterwards is not left behind. Raises BadInput, NotFound, Unreachable.
        """
        check_deployment_name(name)
        await asyncio.to_thread(connect, self.address)
        api = RayApi()
        if not first and await load(api, name) is None:
            raise NotFound(f"there is no deployment {name!r} on the Ray cluster at {self.address}")
        options = ActorOptions(names.controller_name(name), {names.HEAD_RESOURCE: 0.001})
        try:
            yield await api.create(ControllerActor, options, name)
        finally:
            if await load(api, name) is None:
                await api.kill(options.name)

    async def _job(self, controller: Any, say: OnProgress, method: str, *arguments: object) -> str:
        """The result of a change that the controller makes; a broken-off command breaks it off."""
        begun, waited = time.monotonic(), 0.0
        while (number := await self._ask(controller, method, *arguments, waited)) is None:
            await asyncio.sleep(0.5)  # until a change has ended that nobody listens to
            waited = time.monotonic() - begun
        known = 0
        try:
            while True:
                raw = await self._ask(controller, "told", number, known)
                told = msgspec.json.decode(raw, type=Told)
                for sentence in told.said:
                    say(sentence)
                known += len(told.said)
                if told.error:
                    raise _error(told)
                if told.done:
                    return told.result
        except asyncio.CancelledError:
            await self._ask(controller, "cancel", number)
            raise

    async def _ask(self, controller: Any, method: str, *arguments: object) -> Any:
        """Raises the controller's error, or Unreachable."""
        api = RayApi()
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN):
                while True:
                    try:
                        return await api.ask(controller, method, *arguments)
                    except ActorSilent:
                        if method != "status":
                            raise
                        await asyncio.sleep(0.5)
        except (ActorSilent, ActorGone, TimeoutError) as error:
            raise Unreachable(
                f"the deployment's controller on the Ray cluster at {self.address} does not answer "
                f"({error}); see with `ray list actors` on the head whether it runs"
            ) from error


def _error(told: Told) -> ScepsyError:
    kinds = {
        kind.code: kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ScepsyError)
    }
    return kinds.get(told.error, ScepsyError)(told.message)
