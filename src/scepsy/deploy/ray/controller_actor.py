"""The actor of a deployment's controller. It runs on the node of Ray's head."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from scepsy.deploy.backend import Applied, OnProgress, TakenDown
from scepsy.deploy.ray.api import RayApi
from scepsy.deploy.ray.controller import Controller, controller_for
from scepsy.deploy.ray.jobs import Jobs
from scepsy.deploy.ray.loop_thread import LoopThread
from scepsy.deploy.ray.records import RayDeployment, Request
from scepsy.deploy.ray.state import load
from scepsy.deploy.ray.watch import status_of
from scepsy.errors import NotFound


class ControllerActor:
    """Made by Ray with the deployment's name. Restarted, it goes on from what the cluster's store
    has: an interrupted change is finished.
    """

    def __init__(self, name: str) -> None:
        logging.basicConfig(level=logging.INFO)
        self._name = name
        self._api = RayApi()
        self._thread = LoopThread()
        self._controller: Controller | None = None
        self._jobs = self._thread.call(self._begin())

    def apply(self, request: bytes, waited: float = 0.0) -> int | None:
        """Begins a change to a `Request` (JSON) and returns its number; see `Jobs.begin`. Raises
        Conflict.
        """
        return self._thread.call(self._apply(msgspec.json.decode(request, type=Request), waited))

    def repair(self, waited: float = 0.0) -> int | None:
        """Begins a repair; see `Jobs.begin`. Raises NotFound, Conflict."""
        controller = self._known()
        return self._thread.call(
            self._jobs.begin(controller.repair, by_command=True, waited=waited)
        )

    def down(self, grace: float, waited: float = 0.0) -> int | None:
        """Begins to take the deployment down; see `Jobs.begin`. Raises NotFound, Conflict."""
        return self._thread.call(self._down(self._known(), grace, waited))

    def told(self, number: int, known: int) -> bytes:
        """See `Jobs.told`, as JSON."""
        return msgspec.json.encode(self._thread.call(self._jobs.told(number, known)))

    def cancel(self, number: int) -> None:
        """See `Jobs.cancel`."""
        self._thread.call(self._jobs.cancel(number))

    def preview(self, request: bytes) -> tuple[str, ...]:
        """See `Backend.preview`."""
        return self._thread.call(self._preview(msgspec.json.decode(request, type=Request)))

    def status(self) -> bytes:
        """A `Status` as JSON. Raises NotFound."""
        return msgspec.json.encode(self._thread.call(status_of(self._known().runtime)))

    async def _begin(self) -> Jobs:
        jobs = Jobs(self._name)
        current = await load(self._api, self._name)
        if current is not None:
            self._watch(controller_for(self._api, current), jobs)
        return jobs

    def _watch(self, controller: Controller, jobs: Jobs) -> None:
        self._controller = controller
        self._watching = asyncio.create_task(controller.watch(jobs))

    def _known(self) -> Controller:
        if self._controller is None or self._controller.gone:
            raise NotFound(f"there is no deployment {self._name!r} on this Ray cluster")
        return self._controller

    async def _apply(self, request: Request, waited: float) -> int | None:
        async def work(say: OnProgress) -> Applied:
            controller = self._controller
            if controller is None or controller.gone:
                first = RayDeployment(name=self._name, plan=request.plan)
                controller = controller_for(self._api, first)
                self._watch(controller, self._jobs)
            return await controller.apply(request, say)

        return await self._jobs.begin(work, by_command=True, waited=waited)

    async def _down(self, controller: Controller, grace: float, waited: float) -> int | None:
        async def work(_: OnProgress) -> TakenDown:
            return await controller.down(grace)

        return await self._jobs.begin(work, by_command=True, waited=waited)

    async def _preview(self, request: Request) -> tuple[str, ...]:
        first = RayDeployment(name=self._name, plan=request.plan)
        current = await load(self._api, self._name) or first
        return await controller_for(self._api, current).preview(request)
