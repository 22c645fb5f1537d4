"""The local backend: one OS process per replica on this machine, and a gateway in front of them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from scepsy.core.plan import Plan, Replica
from scepsy.deploy.accepted import accepted, reached
from scepsy.deploy.apply import Change, change_to
from scepsy.deploy.backend import Applied, OnProgress, TakenDown, cut_calls
from scepsy.deploy.gateway_client import closed
from scepsy.deploy.local.deployment_file import DeploymentFile
from scepsy.deploy.local.gateway_process import absolute, check_gateway, gateway_access
from scepsy.deploy.local.locking import changing
from scepsy.deploy.local.marks import stop_unknown
from scepsy.deploy.local.runtime import LocalRuntime
from scepsy.deploy.local.state import Deployment
from scepsy.deploy.local.state_directory import StateDirectory
from scepsy.deploy.local.supervisor_process import ensure_supervisor, stop_supervisor
from scepsy.deploy.local.watch import observe
from scepsy.deploy.restarts import RestartPolicy
from scepsy.deploy.routes import hosted_routes
from scepsy.deploy.startable import check_one_machine, check_startable
from scepsy.deploy.status import Status
from scepsy.engines import EngineOptions
from scepsy.engines.process import stop_pid
from scepsy.engines.procfs import is_alive
from scepsy.errors import BadInput, ScepsyError, Unreachable
from scepsy.gateway.config import GRACE, check_routes


def _silent(_: str) -> None: ...


@dataclass(slots=True)
class LocalBackend:
    """Deployments on this machine, remembered under `root`. See `Backend` for what it promises.

    Attributes:
        root: the state directory.
        options: for engines that are started from now on.
        restarts: when engines that end or hang are restarted; None leaves them alone.
    """

    root: Path
    options: EngineOptions = field(default_factory=EngineOptions)
    restarts: RestartPolicy | None = field(default_factory=RestartPolicy)

    @property
    def files(self) -> StateDirectory:
        return StateDirectory(self.root)

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
        """See `Backend.apply`. A change that fails is taken back: the earlier plan is applied again
        under a new epoch, with as little capacity on the way as it takes.
        """
        check_startable(plan)
        check_one_machine(plan)
        check_routes(hosted_routes(plan))
        async with changing(self.files, name):
            before = self.files.load_if_any(name)
            current = before or Deployment(name=name, plan=plan, epoch=0)
            check_gateway(current, port, traces)
            current = msgspec.structs.replace(
                current, port=port or current.port, traces=absolute(traces) or current.traces
            )
            file = DeploymentFile(self.files, current)
            await _clear(file)
            change = self._change(file, plan, self.options, grace, allow_dip, on_progress)
            await change.check()
            try:
                return await self._run(file, change)
            except BaseException:
                await self._undo(file, before, grace, on_progress)
                raise

    async def repair(self, name: str = "default", *, on_progress: OnProgress = _silent) -> Applied:
        """See `Backend.repair`. Nothing is taken back where it fails."""
        self.load(name)
        async with changing(self.files, name):
            file = DeploymentFile(self.files, self.load(name))
            await _clear(file)
            plan, options = file.current.plan, file.current.options
            change = self._change(file, plan, options, GRACE, True, on_progress)
            return await self._run(file, change)

    async def preview(
        self, plan: Plan, *, name: str = "default", allow_dip: bool = False
    ) -> tuple[str, ...]:
        """See `Backend.preview`."""
        check_startable(plan)
        check_one_machine(plan)
        current = self.files.load_if_any(name) or Deployment(name=name, plan=plan, epoch=0)
        file = DeploymentFile(self.files, current, writes=False)
        return await self._change(file, plan, self.options, GRACE, allow_dip, _silent).preview()

    async def status(self, name: str = "default") -> Status:
        """See `Backend.status`."""
        return await observe(self.files, self.load(name), expects=self.restarts is not None)

    async def down(self, name: str = "default", *, grace: float = GRACE) -> TakenDown:
        """See `Backend.down`. Processes of the deployment that nobody noted are stopped too, and
        all of them where its state cannot be read.
        """
        try:
            self.load(name)
        except BadInput:
            return await self._down_unread(name)
        async with changing(self.files, name):
            return await self._down(DeploymentFile(self.files, self.load(name)), grace)

    def load(self, name: str) -> Deployment:
        """The deployment as last written. Raises NotFound, or BadInput for a damaged file."""
        return self.files.load(name)

    def _change(
        self,
        file: DeploymentFile,
        plan: Plan,
        options: EngineOptions,
        grace: float,
        allow_dip: bool,
        say: OnProgress,
    ) -> Change:
        """A change to a plan, which `file` then has, but has not written yet."""
        before = file.current
        asked = msgspec.structs.replace(before, plan=plan, options=options)
        file.current = accepted(before, asked, _loaded(before))
        return change_to(
            file.current,
            LocalRuntime(file),
            before=before.plan,
            grace=grace,
            allow_dip=allow_dip,
            say=say,
        )

    async def _run(self, file: DeploymentFile, change: Change) -> Applied:
        file.change()
        await change.run()
        serving = [one.name for one in file.current.replicas]
        await change.runtime.route(serving, ())
        change.say("ready: gateway")
        file.change(**reached(file.current, change.done.start_seconds, _loaded(file.current)))
        ensure_supervisor(file, self.restarts)
        current = file.current
        assert current.gateway is not None
        return change.done.applied(current.name, current.epoch, current.gateway.url, serving)

    async def _undo(
        self, file: DeploymentFile, before: Deployment | None, grace: float, say: OnProgress
    ) -> None:
        """Back to the plan before a change that failed; nothing is left of a first deployment."""
        file.writes = False  # what cannot be written must not keep us from stopping what we started
        if before is None:
            await _stop_all(file)
            self.files.remove(file.current.name)
            return
        say("the change failed: going back to the plan before it")
        change = self._change(file, before.plan, before.options, grace, True, say)
        with suppress(ScepsyError):
            await change.run()
            await change.runtime.route([one.name for one in file.current.replicas], ())
            file.current = msgspec.structs.replace(file.current, settled=True, leaving=())
        with suppress(ScepsyError):
            self.files.save(file.current)
            ensure_supervisor(file, self.restarts)

    async def _down(self, file: DeploymentFile, grace: float) -> TakenDown:
        await stop_supervisor(file.current)
        access = gateway_access(self.files, file.current)
        left: dict[str, int] = {}
        if access is not None:
            with suppress(Unreachable):  # it hangs: nobody knows its calls, and they go nowhere
                left = await closed(access, grace)
        stopped = await _stop_all(file)
        self.files.remove(file.current.name)
        return TakenDown(name=file.current.name, stopped=stopped, cut=cut_calls(left))

    async def _down_unread(self, name: str) -> TakenDown:
        folder = self.files.folder(name)
        async with changing(self.files, name):
            stopped = await stop_unknown(folder, {})
            self.files.remove(name)
        return TakenDown(name=name, stopped=stopped)


async def _clear(file: DeploymentFile) -> None:
    """Stops processes of the deployment that its state does not know, and brings back a gateway
    that has ended or hangs, with its routes.
    """
    current = file.current
    await stop_unknown(file.files.folder(current.name), _known(current))
    runtime = LocalRuntime(file)
    if current.gateway is not None and await runtime.gateway.well() is None:
        alive = [one for one in current.replicas if is_alive(one.pid, one.born)]
        await runtime.route([one.name for one in alive if one.phase == "serving"], ())


async def _stop_all(file: DeploymentFile) -> int:
    """Stops every process. The engines first: the gateway then tells the callers of calls that are
    cut, and records them. Returns how many processes ran.
    """
    current, gateway = file.current, file.current.gateway
    engines = [(one.pid, one.born) for one in current.replicas]
    front = [] if gateway is None else [(gateway.pid, gateway.born)]
    ran = sum(is_alive(pid, born) for pid, born in (*engines, *front))
    await asyncio.gather(*(stop_pid(pid, born) for pid, born in engines))
    for pid, born in front:
        await stop_pid(pid, born)
    return ran + await stop_unknown(file.files.folder(current.name), {})


def _loaded(current: Deployment) -> list[Replica]:
    """The replicas whose engines have been ready."""
    return [one.replica for one in current.replicas if one.phase != "starting"]


def _known(current: Deployment) -> dict[int, int]:
    """Pid and birth of every process that the deployment's state knows."""
    others = filter(None, (current.gateway, current.supervisor))
    return {one.pid: one.born for one in (*current.replicas, *others)}
