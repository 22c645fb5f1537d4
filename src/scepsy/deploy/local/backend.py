"""The local backend: one OS process per replica on this machine, and a gateway in front of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from scepsy.core.plan import Plan, Replica
from scepsy.deploy.all_at_once import diff, stopped_first
from scepsy.deploy.gateway_client import put_routes
from scepsy.deploy.local.engine_starts import EngineStarts
from scepsy.deploy.local.gateway_process import GatewayProcess, running_gateway
from scepsy.deploy.local.journal import ChangeJournal
from scepsy.deploy.local.launching import launch_digest
from scepsy.deploy.local.state import Deployment, RunningGateway, RunningReplica, addresses
from scepsy.deploy.local.state_directory import StateDirectory
from scepsy.deploy.local.watch import drain, observe
from scepsy.deploy.routes import hosted_routes, routes_of
from scepsy.deploy.status import Status
from scepsy.engines import EngineOptions
from scepsy.engines.process import stop_pid
from scepsy.engines.procfs import is_alive
from scepsy.errors import BadInput, ScepsyError, Unreachable
from scepsy.gateway.config import check_routes
from scepsy.hardware.startable import unstartable

OnProgress = Callable[[str], None]
"""Called with the name of each replica, and with "gateway", once it accepts requests."""


@dataclass(slots=True)
class LocalBackend:
    """Deployments on this machine, remembered under `root`.

    `options` applies to engines that are started from now on. Of two changes of one deployment at
    once, in this process or another, the second is refused.
    """

    root: Path
    options: EngineOptions = field(default_factory=EngineOptions)

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
        on_progress: OnProgress = lambda _: None,
    ) -> Deployment:
        """Brings deployment `name` to `plan`: stops the replicas whose memory new ones need, starts
        what is missing, routes to it, and stops the other superfluous replicas.

        A first deployment that fails, or is cancelled, leaves nothing running. A change that fails
        leaves the deployment as it was: replicas that were stopped to make room are started again.

        Port 0 and traces None leave a running gateway as it is.

        Raises:
            BadInput: another command is changing the deployment, the state directory cannot be
                written, the plan does not fit its GPUs, the gateway that runs has another port or
                other traces, or the key of an endpoint is not in the environment.
            EngineFailed, PortInUse: an engine or the gateway did not start.
        """
        with self.files.locked(name):
            return await self._apply(plan, name, port, traces, on_progress)

    async def _apply(
        self, plan: Plan, name: str, port: int, traces: Path | None, on_progress: OnProgress
    ) -> Deployment:
        before = self.files.load_if_any(name)
        current = before or Deployment(name=name, plan=plan)
        gateway = GatewayProcess(self.files, self.options, port, traces)
        gateway.check(current)
        check_routes(hosted_routes(plan))
        _check_startable(plan)
        alive = [one for one in current.replicas if is_alive(one.pid, one.born)]
        # Child processes of a dead engine may live on and hold its GPU.
        await _stop_all(one for one in current.replicas if one not in alive)
        digests = {llm.name: launch_digest(llm, plan.cluster, self.options) for llm in plan.llms}
        changes = diff(
            [one.replica for one in alive], plan.placement.replicas, _outdated(alive, digests)
        )
        early = _processes(alive, stopped_first(changes))
        kept = _processes(alive, changes.keep)
        superfluous = [one for one in alive if one not in early and one not in kept]
        journal = ChangeJournal(current, self.files.save)
        stopped: list[RunningReplica] = []
        try:
            if early:
                await _put_own_routes(current, without=early)
                await drain(early)
                stopped += early
                await _stop_all(early)
            starts = EngineStarts(plan, self.options, self.files, journal, on_progress)
            await starts.start(changes.start)
            serving = (*kept, *journal.replicas)
            routed = await gateway.route(journal, routes_of(plan, addresses(serving)))
            on_progress("gateway")
            after = Deployment(
                name=name, plan=plan, replicas=serving, gateway=routed, options=self.options
            )
            # Remembered until they are gone, so that `down` finds them if we are stopped here.
            self.files.save(msgspec.structs.replace(after, replicas=(*serving, *superfluous)))
        except BaseException:
            await self._undo(before, journal, stopped)
            raise
        await drain(superfluous)
        await _stop_all(superfluous)
        self.files.save(after)
        return after

    async def status(self, name: str = "default") -> Status:
        """What the deployment is doing. Raises NotFound where there is none of that name."""
        return await observe(self.load(name))

    async def down(self, name: str = "default") -> int:
        """Stops every process of the deployment and forgets it. Returns how many were running.

        Raises:
            NotFound: there is no deployment of that name.
            BadInput: another command is changing it.
        """
        self.load(name)
        with self.files.locked(name):
            return await self._down(self.load(name))

    async def _down(self, current: Deployment) -> int:
        processes = [(one.pid, one.born) for one in current.replicas]
        if current.gateway is not None:
            processes.insert(0, (current.gateway.pid, current.gateway.born))
        alive = sum(1 for pid, born in processes if is_alive(pid, born))
        # The gateway first: it answers what is in flight while the engines still run.
        for pid, born in processes[:1]:
            await stop_pid(pid, born)
        await asyncio.gather(*(stop_pid(pid, born) for pid, born in processes[1:]))
        self.files.remove(current.name)
        return alive

    def load(self, name: str) -> Deployment:
        """The deployment as last written. Raises NotFound, or BadInput for a damaged file."""
        return self.files.load(name)

    async def _undo(
        self,
        before: Deployment | None,
        journal: ChangeJournal,
        stopped: Sequence[RunningReplica],
    ) -> None:
        """Back to what ran before a change that failed, which may have `stopped` replicas. The old
        routes come first, so that no call goes to an engine that is about to stop.
        """
        await _put_own_routes(journal.current, without=stopped)
        await _stop_all((*journal.replicas, *stopped, *filter(None, (journal.gateway,))))
        if before is None:
            self.files.remove(journal.current.name)
            return
        self.files.save(before)
        if stopped:
            await self._restart(before, stopped)

    async def _restart(self, before: Deployment, stopped: Sequence[RunningReplica]) -> None:
        """Starts engines again that had to make room. One that does not start stays stopped:
        `status` calls it dead.
        """
        stay = tuple(one for one in before.replicas if one not in stopped)
        without = msgspec.structs.replace(before, replicas=stay)
        journal = ChangeJournal(without, self.files.save)
        starts = EngineStarts(before.plan, before.options, self.files, journal, lambda _: None)
        with suppress(ScepsyError):
            await starts.start([one.replica for one in stopped])
        names = {one.replica.replica for one in journal.replicas}
        lost = tuple(one for one in stopped if one.replica.replica not in names)
        restored = msgspec.structs.replace(before, replicas=(*stay, *journal.replicas, *lost))
        self.files.save(restored)
        await _put_own_routes(restored)


async def _put_own_routes(deployment: Deployment, without: Sequence[RunningReplica] = ()) -> None:
    """Gives the deployment's gateway, where one runs, the routes to its replicas `without` some.

    An LLM that has no other running replica keeps its routes, so that its callers get 503, which
    clients retry, and not 404.
    """
    gateway = running_gateway(deployment)
    if gateway is None:
        return
    stay = [one for one in deployment.replicas if one not in without]
    served = {one.replica.llm for one in stay if is_alive(one.pid, one.born)}
    stay += [one for one in without if one.replica.llm not in served]
    with suppress(Unreachable):
        await put_routes(gateway.url, routes_of(deployment.plan, addresses(stay)))


def _check_startable(plan: Plan) -> None:
    """Raises BadInput for a plan whose engines could not all start."""
    reason = unstartable(plan)
    if reason is not None:
        raise BadInput(
            f"the plan cannot be started: {reason.reason}; make it again with `scepsy plan`"
        )


async def _stop_all(processes: Iterable[RunningReplica | RunningGateway]) -> None:
    await asyncio.gather(*(stop_pid(one.pid, one.born) for one in processes))


def _processes(
    running: Sequence[RunningReplica], replicas: Collection[Replica]
) -> list[RunningReplica]:
    """The processes of these replicas."""
    return [one for one in running if one.replica in replicas]


def _outdated(running: Sequence[RunningReplica], digests: Mapping[str, str]) -> set[str]:
    """Names of replicas that are not ready, or were started otherwise than they would be now."""
    return {one.replica.replica for one in running if one.launched != digests.get(one.replica.llm)}
