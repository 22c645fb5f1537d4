"""One container of a pod as a process: started, probed, restarted with back-off, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from scepsy.testing.kubernetes.clock import now
from scepsy.testing.kubernetes.node_objects import ContainerState

BACK_OFF = 1.0
BACK_OFF_MAX = 10.0
"""Seconds before a container is started again, doubled each time. Real kubelets take 10 to 300."""

_LOG_LINES = 12
_LOG_BYTES = 2048


@dataclass(slots=True)
class Container:
    """A container whose `state` is kept up to date; `changed` is called after every change.

    Attributes:
        spec: the container's part of the pod.
        argv, env: the process.
        pre_stop: the command of the hook; empty where there is none.
        address: the pod's address, at which probes ask.
        restarts: "Always", "OnFailure" or "Never".
        log: where its output goes.
    """

    spec: Mapping[str, Any]
    argv: list[str]
    env: Mapping[str, str]
    address: str
    restarts: str
    log: Path
    state: ContainerState
    changed: Callable[[], None]
    pre_stop: Sequence[str] = ()
    _process: asyncio.subprocess.Process | None = None
    _stopping: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Runs the process until it may not be started again, or `stop` is called."""
        wait = BACK_OFF
        while not self._stopping:
            started = asyncio.get_running_loop().time()
            code = await self._once()
            again = self.restarts == "Always" or (self.restarts == "OnFailure" and code != 0)
            if self._stopping or not again:
                break
            if asyncio.get_running_loop().time() - started > 10 * BACK_OFF_MAX:
                wait = BACK_OFF
            name = self.spec["name"]
            self.state.waiting = ("CrashLoopBackOff", f"back-off {wait:g}s restarting {name}")
            self.changed()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)
            wait = min(2 * wait, BACK_OFF_MAX)
            self.state.restarts += 1
        self.state.done = True
        self.changed()

    async def stop(self, grace: float) -> None:
        """The preStop hook, then SIGTERM to the process and its children, and `grace` seconds after
        the beginning SIGKILL. As with a real kubelet, a hook that takes all of the grace leaves two
        seconds after SIGTERM.
        """
        self._stopping = True
        self._wake.set()
        process = self._process
        if process is None:
            return
        until = asyncio.get_running_loop().time() + grace
        if self.pre_stop:
            await self._hook(grace)
        self._signal(signal.SIGTERM)
        with suppress(TimeoutError):
            left = until - asyncio.get_running_loop().time()
            await asyncio.wait_for(process.wait(), max(left, 2.0))
        self.kill()
        await process.wait()

    def kill(self) -> None:
        """SIGKILL at once, also to what the process has started."""
        self._stopping = True
        self._wake.set()
        self._signal(signal.SIGKILL)

    async def _hook(self, grace: float) -> None:
        with self.log.open("ab") as log:
            hook = await asyncio.create_subprocess_exec(
                *self.pre_stop,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.env},
            )
        try:
            await asyncio.wait_for(hook.wait(), grace)
        except TimeoutError:
            hook.kill()
            await hook.wait()

    async def _once(self) -> int:
        began = now()
        try:
            with self.log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self.argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **self.env},
                    start_new_session=True,
                )
        except OSError as error:
            self.state.ended = (127, began, now(), str(error))
            return 127
        self.state.started = began
        self.state.passed = "startupProbe" not in self.spec
        self.state.ready = self.state.passed and "readinessProbe" not in self.spec
        self.changed()
        probes = asyncio.create_task(self._probe())
        try:
            code = await self._process.wait()
        finally:
            self._signal(signal.SIGKILL)
            probes.cancel()
            await asyncio.wait([probes])
        self._process = None
        self.state.started, self.state.ready = None, False
        self.state.ended = (code if code >= 0 else 128 - code, began, now(), self._log_end())
        self.changed()
        return code

    async def _probe(self) -> None:
        """First the startup probe, then readiness and liveness side by side. A success that is
        waited for is noticed within 0.2 s, so that tests need not wait for a whole period.
        """
        async with aiohttp.ClientSession() as session:
            startup = self.spec.get("startupProbe")
            if startup is not None:
                try:
                    async with asyncio.timeout(_period(startup) * startup["failureThreshold"]):
                        await self._succeeds(session, startup)
                except TimeoutError:
                    self._signal(signal.SIGKILL)
                    return
                self.state.passed = True
            async with asyncio.TaskGroup() as both:
                both.create_task(self._readiness(session))
                both.create_task(self._liveness(session))

    async def _readiness(self, session: aiohttp.ClientSession) -> None:
        probe = self.spec.get("readinessProbe")
        if probe is None:
            self._set_ready(True)
            return
        while True:
            await self._succeeds(session, probe)
            self._set_ready(True)
            await self._fails(session, probe, min(1.0, _period(probe)))
            self._set_ready(False)

    async def _liveness(self, session: aiohttp.ClientSession) -> None:
        probe = self.spec.get("livenessProbe")
        if probe is not None:
            await self._fails(session, probe, _period(probe))
            self._signal(signal.SIGKILL)

    async def _succeeds(self, session: aiohttp.ClientSession, probe: Mapping[str, Any]) -> None:
        while not await self._asked(session, probe):  # noqa: ASYNC110
            await asyncio.sleep(0.2)

    async def _fails(
        self, session: aiohttp.ClientSession, probe: Mapping[str, Any], period: float
    ) -> None:
        """Returns after as many failures in a row as the probe allows."""
        failures = 0
        while failures < probe.get("failureThreshold", 3):
            await asyncio.sleep(period)
            failures = 0 if await self._asked(session, probe) else failures + 1

    async def _asked(self, session: aiohttp.ClientSession, probe: Mapping[str, Any]) -> bool:
        get = probe["httpGet"]
        ports = {one.get("name"): one["containerPort"] for one in self.spec.get("ports", ())}
        port = ports.get(get["port"], get["port"])
        url = f"http://{self.address}:{port}{get.get('path', '/')}"
        timeout = aiohttp.ClientTimeout(total=probe.get("timeoutSeconds", 1))
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with session.get(url, timeout=timeout) as response:
                return response.status < 400
        return False

    def _set_ready(self, ready: bool) -> None:
        if self.state.ready != ready:
            self.state.ready = ready
            self.changed()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _log_end(self) -> str:
        """The end of the log, where the pod asks for it in place of a message."""
        if self.spec.get("terminationMessagePolicy") != "FallbackToLogsOnError":
            return ""
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return "\n".join(lines)[-_LOG_BYTES:]


def _period(probe: Mapping[str, Any]) -> float:
    return float(probe.get("periodSeconds", 10))
