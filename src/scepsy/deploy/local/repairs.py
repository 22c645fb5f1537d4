"""Replaces processes that have failed, several at once, but one at a time on each GPU."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field

import msgspec

from scepsy.deploy.local.deployment_file import DeploymentFile
from scepsy.deploy.local.restart_log import GATEWAY
from scepsy.deploy.local.runtime import LocalRuntime
from scepsy.deploy.local.vital_signs import Vitals, VitalSigns
from scepsy.engines.process import stop_pid
from scepsy.engines.procfs import is_alive
from scepsy.errors import ScepsyError

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Repairs:
    """Repairs go on in the background. `locked` gives the deployment, or None where it is not ours
    to change at the moment.
    """

    signs: VitalSigns
    locked: Callable[[], AbstractAsyncContextManager[DeploymentFile | None]]
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, "asyncio.Task[None]"])
    _turns: defaultdict[tuple[str, int], asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )

    @property
    def going_on(self) -> set[str]:
        """Names of what is being repaired."""
        return {name for name, task in self._tasks.items() if not task.done()}

    def begin(self, sick: Vitals, tasks: asyncio.TaskGroup) -> None:
        """Begins to replace a process that has failed."""
        self._tasks[sick.name] = tasks.create_task(self._repair(sick))

    def stop(self) -> None:
        """Breaks off all repairs."""
        for task in self._tasks.values():
            task.cancel()

    async def _repair(self, sick: Vitals) -> None:
        async with self.locked() as file:
            if file is None:
                return
            _log.info("%s: %s; starting it again", sick.name, sick.failures[-1].why)
            try:
                if sick.name == GATEWAY:
                    await self._gateway(sick, file)
                else:
                    await self._replica(sick, file)
            except (ScepsyError, OSError) as error:
                _log.warning("%s could not be started again: %s", sick.name, error)
                self.signs.failed_to_start(sick, f"it did not start: {error}".splitlines()[0])

    async def _gateway(self, sick: Vitals, file: DeploymentFile) -> None:
        await stop_pid(*sick.key, grace=0)
        await _route(file)
        gateway = file.current.gateway
        if gateway is not None:
            self.signs.restarted(sick, (gateway.pid, gateway.born))

    async def _replica(self, sick: Vitals, file: DeploymentFile) -> None:
        one = file.find(sick.name)
        if one is None or (one.pid, one.born) != sick.key:
            return  # a command was faster
        async with AsyncExitStack() as held:
            for gpu in sorted({(part.node, part.gpu) for part in one.replica.slices}):
                await held.enter_async_context(self._turns[gpu])
            if is_alive(one.pid, one.born):
                await _route(file, without=one.name)
            await stop_pid(one.pid, one.born, grace=0)
            try:
                await LocalRuntime(file).start(one.replica)
            except ScepsyError:
                file.put(one)  # it still belongs to the deployment
                raise
            again = file.find(one.name)
            assert again is not None
            file.put(msgspec.structs.replace(again, epoch=one.epoch))
            self.signs.restarted(sick, (again.pid, again.born))
        await _route(file)


async def _route(file: DeploymentFile, without: str | None = None) -> None:
    """Routes to all replicas that serve and run."""
    serving = [
        one.name
        for one in file.current.replicas
        if one.phase == "serving" and one.name != without and is_alive(one.pid, one.born)
    ]
    await LocalRuntime(file).route(serving, ())
