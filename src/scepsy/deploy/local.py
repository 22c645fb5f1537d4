"""The local backend: one OS process per replica on this machine, and a gateway in front of them."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Plan, Replica
from scepsy.deploy.journal import ChangeJournal
from scepsy.deploy.launching import recipe, start_on_free_port
from scepsy.deploy.reconcile import Changes, diff
from scepsy.deploy.routes import hosted_routes, routes_of
from scepsy.deploy.state import Deployment, RunningGateway, RunningReplica, Status
from scepsy.deploy.watch import drain, observe, put_routes
from scepsy.engines import EngineOptions, Launch, Seat, engine_for
from scepsy.engines.process import stop_pid
from scepsy.engines.procfs import is_alive
from scepsy.errors import BadInput, NotFound, ScepsyError, Unreachable, first_of
from scepsy.gateway.config import GatewayConfig, Route, check_routes
from scepsy.store import read_record, write_record

OnProgress = Callable[[str], None]


@dataclass(slots=True)
class LocalBackend:
    """Deployments under `root`, one directory each: `state.json`, the gateway's configuration,
    logs.

    `options` applies to engines that are started from now on. Not safe for two callers at once.
    """

    root: Path
    options: EngineOptions = field(default_factory=EngineOptions)

    async def apply(
        self,
        plan: Plan,
        *,
        name: str = "default",
        port: int = 0,
        traces: Path | None = None,
        on_progress: OnProgress = lambda _: None,
    ) -> Deployment:
        """Brings deployment `name` to `plan`: starts what is missing, routes to it, stops what is
        superfluous.

        A first deployment that fails, or is cancelled, leaves nothing running. A change that fails
        leaves the deployment as it was.

        `on_progress` is told the name of each replica, and "gateway", once it accepts requests.

        Port 0 and traces None leave a running gateway as it is.

        Raises:
            BadInput: the gateway that runs has another port or other traces, or the key of an
                endpoint is not in the environment.
            EngineFailed, PortInUse: an engine or the gateway did not start.
        """
        before = self._load_if_any(name)
        current = before or Deployment(name=name, plan=plan)
        self._check_gateway(current, port, traces)
        check_routes(hosted_routes(plan))
        alive = [one for one in current.replicas if is_alive(one.pid, one.born)]
        # What a dead one started may live on, with its GPU.
        await _stop_all(one for one in current.replicas if one not in alive)
        recipes = {llm.name: recipe(llm, plan.cluster, self.options) for llm in plan.llms}
        changes = diff(
            [one.replica for one in alive], plan.placement.replicas, _outdated(alive, recipes)
        )
        kept = [one for one in alive if one.replica in changes.keep]
        superfluous = [one for one in alive if one.replica in changes.stop]
        journal = ChangeJournal(current, self._save)
        try:
            await self._start_all(journal, plan, changes, recipes, on_progress)
            serving = (*kept, *journal.replicas)
            routes = routes_of(plan, serving)
            gateway = await self._route(journal, routes, port, traces)
            on_progress("gateway")
            after = Deployment(name=name, plan=plan, replicas=serving, gateway=gateway)
            # Known until they are gone, so that `down` finds them if we are stopped here.
            self._save(msgspec.structs.replace(after, replicas=(*serving, *superfluous)))
        except BaseException:
            await self._undo(name, before, journal)
            raise
        await drain(superfluous)
        await _stop_all(superfluous)
        self._save(after)
        return after

    async def status(self, name: str = "default") -> Status:
        """What the deployment is doing. Raises NotFound where there is none of that name."""
        return await observe(self.load(name))

    async def down(self, name: str = "default") -> int:
        """Stops every process of the deployment and removes its directory; how many were still
        running.

        Raises:
            NotFound: there is no deployment of that name.
        """
        current = self.load(name)
        processes = [(one.pid, one.born) for one in current.replicas]
        if current.gateway is not None:
            processes.insert(0, (current.gateway.pid, current.gateway.born))
        alive = sum(1 for pid, born in processes if is_alive(pid, born))
        # The gateway first: it answers what is in flight while the engines still run.
        for pid, born in processes[:1]:
            await stop_pid(pid, born)
        await asyncio.gather(*(stop_pid(pid, born) for pid, born in processes[1:]))
        shutil.rmtree(self._directory(name), ignore_errors=True)
        return alive

    def load(self, name: str) -> Deployment:
        """The deployment as last written. Raises NotFound, or BadInput for a damaged file."""
        path = self._directory(name) / "state.json"
        if not path.exists():
            known = sorted(found.parent.name for found in self.root.glob("*/state.json"))
            raise NotFound(
                f"no deployment {name!r} under {self.root}; there are: {', '.join(known) or 'none'}"
            )
        return read_record(path, Deployment)

    async def _start_all(
        self,
        journal: ChangeJournal,
        plan: Plan,
        changes: Changes,
        recipes: Mapping[str, str],
        on_progress: OnProgress,
    ) -> None:
        """Starts engines: on one GPU one after another (each sizes its memory by what is free),
        GPUs side by side.
        """
        llms = {llm.name: llm for llm in plan.llms}
        turns: dict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)

        async def in_turn(replica: Replica) -> None:
            async with AsyncExitStack() as held:
                for gpu in sorted((part.node, part.gpu) for part in replica.slices):
                    await held.enter_async_context(turns[gpu])
                ready = await self._start_one(journal, llms[replica.llm], replica, plan)
                journal.note_replica(msgspec.structs.replace(ready, launched=recipes[replica.llm]))
                on_progress(replica.replica)

        await _all([in_turn(replica) for replica in changes.start])

    async def _start_one(
        self, journal: ChangeJournal, llm: LlmSpec, replica: Replica, plan: Plan
    ) -> RunningReplica:
        log = self._directory(journal.current.name) / f"{replica.replica}.log"
        seat = Seat(
            tp=replica.tp,
            gpu_share=replica.gpu_share,
            memory_share=replica.memory_share,
            gpu_type=plan.cluster.nodes[0].gpu_type,
            gpu_memory=plan.cluster.gpu_memory,
            gpus=tuple(part.gpu for part in replica.slices),
            boards=() if replica.gpu_share >= 1 else self._boards(journal, replica),
        )

        def launch_on(port: int) -> Launch:
            return engine_for(llm.engine).launch(llm, seat, port=port, options=self.options)

        def running(pid: int, born: int, url: str) -> RunningReplica:
            return RunningReplica(replica=replica, pid=pid, born=born, url=url, log=str(log))

        process = await start_on_free_port(
            launch_on,
            host=self.options.host,
            log_path=log,
            name=replica.replica,
            on_spawn=lambda pid, born, url: journal.note_replica(running(pid, born, url)),
        )
        return running(process.pid, process.born, process.url)

    async def _route(
        self,
        journal: ChangeJournal,
        routes: Sequence[Route],
        port: int,
        traces: Path | None,
    ) -> RunningGateway:
        """Points the gateway at `routes`; starts one where none runs."""
        old = journal.current.gateway
        if old is not None and is_alive(old.pid, old.born):
            await put_routes(old.url, routes)
            return old
        return await self._start_gateway(journal, routes, port, traces)

    async def _start_gateway(
        self,
        journal: ChangeJournal,
        routes: Sequence[Route],
        port: int,
        traces: Path | None,
    ) -> RunningGateway:
        host, path = self.options.host, self._gateway_path(journal.current.name)
        log = path.with_suffix(".log")
        parent = ("--exit-with-parent", str(os.getpid())) if self.options.exit_with_parent else ()
        argv = (sys.executable, "-m", "scepsy.gateway", "--config", str(path), *parent)

        def launch_on(listen: int) -> Launch:
            config = GatewayConfig(
                host=host, port=listen, routes=tuple(routes), traces=_absolute(traces)
            )
            write_record(path, config)
            return Launch(argv=argv, url=f"http://{host}:{listen}")

        def running(pid: int, born: int, url: str) -> RunningGateway:
            return RunningGateway(pid=pid, born=born, url=url, log=str(log))

        process = await start_on_free_port(
            launch_on,
            port=port,
            host=host,
            log_path=log,
            name="gateway",
            on_spawn=lambda pid, born, url: journal.note_gateway(running(pid, born, url)),
        )
        return running(process.pid, process.born, process.url)

    async def _undo(self, name: str, before: Deployment | None, journal: ChangeJournal) -> None:
        """The old routes first, so that nobody is sent to what is about to end."""
        gateway = journal.current.gateway
        if gateway is not None and is_alive(gateway.pid, gateway.born):
            with suppress(Unreachable):
                await put_routes(
                    gateway.url, routes_of(journal.current.plan, journal.current.replicas)
                )
        await _stop_all((*journal.replicas, *filter(None, (journal.gateway,))))
        if before is None:
            shutil.rmtree(self._directory(name), ignore_errors=True)
        else:
            self._save(before)

    def _check_gateway(self, current: Deployment, port: int, traces: Path | None) -> None:
        """Raises BadInput where the gateway that runs is not the one that is asked for."""
        gateway = current.gateway
        if gateway is None or not is_alive(gateway.pid, gateway.born):
            return
        config = read_record(self._gateway_path(current.name), GatewayConfig)
        wanted = _absolute(traces)
        if port and port != config.port:
            difference = f"listens on port {config.port}, not {port}"
        elif wanted is not None and wanted != config.traces:
            difference = f"records traces into {config.traces or 'no directory'}, not {wanted}"
        else:
            return
        raise BadInput(
            f"the gateway of deployment {current.name!r} runs and {difference}; "
            "take the deployment down first, or leave this option out"
        )

    def _load_if_any(self, name: str) -> Deployment | None:
        try:
            return self.load(name)
        except NotFound:
            return None

    def _directory(self, name: str) -> Path:
        if not name or "/" in name or name.startswith("."):
            raise BadInput(f"deployment name {name!r}: use letters, digits and dashes")
        return self.root / name

    def _boards(self, journal: ChangeJournal, replica: Replica) -> tuple[str, ...]:
        folder = self._directory(journal.current.name) / "gpus"
        return tuple(str(folder / f"{part.node}-{part.gpu}") for part in replica.slices)

    def _gateway_path(self, name: str) -> Path:
        return self._directory(name) / "gateway.json"

    def _save(self, deployment: Deployment) -> None:
        path = self._directory(deployment.name) / "state.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_record(path, deployment)


async def _all(work: Sequence[Coroutine[None, None, None]]) -> None:
    """Runs everything side by side; the first failure cancels the rest and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for one in work:
                tasks.create_task(one)
    except* ScepsyError as failures:
        raise first_of(failures) from None


async def _stop_all(processes: Iterable[RunningReplica | RunningGateway]) -> None:
    await asyncio.gather(*(stop_pid(one.pid, one.born) for one in processes))


def _outdated(running: Sequence[RunningReplica], recipes: Mapping[str, str]) -> set[str]:
    """Names of those that were started otherwise than the recipes say, or are not ready."""
    return {one.replica.replica for one in running if one.launched != recipes.get(one.replica.llm)}


def _absolute(traces: Path | None) -> str | None:
    return None if traces is None else str(traces.resolve())
