"""The local backend: one OS process per replica on this machine, and a gateway in front of them."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Plan, Replica
from scepsy.deploy.reconcile import Changes, diff
from scepsy.deploy.state import Deployment, RunningGateway, RunningReplica, Status
from scepsy.deploy.watch import observe, put_routes
from scepsy.engines import EngineOptions, Launch, engine_for, free_port, start
from scepsy.engines.process import stop_pid
from scepsy.engines.procfs import is_alive
from scepsy.errors import BadInput, NotFound, ScepsyError
from scepsy.gateway.config import GatewayConfig, Route
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

        Raises:
            EngineFailed, PortInUse: an engine or the gateway did not start.
        """
        before = self._load_if_any(name)
        current = before or Deployment(name=name, plan=plan)
        alive = [one for one in current.replicas if is_alive(one.pid, one.born)]
        changes = diff([one.replica for one in alive], plan.placement.replicas)
        new: list[RunningReplica] = []
        try:
            await self._start_all(current, plan, changes, new, on_progress)
            kept = [one for one in alive if one.replica in changes.keep]
            serving = (*kept, *new)
            on_progress("gateway")
            gateway = await self._route(current, serving, port, traces)
        except BaseException:
            await self._undo(name, before, new)
            raise
        after = Deployment(name=name, plan=plan, replicas=serving, gateway=gateway)
        superfluous = tuple(one for one in alive if one.replica in changes.stop)
        # Known until they are gone, so that `down` finds them if we are stopped here.
        self._save(msgspec.structs.replace(after, replicas=(*serving, *superfluous)))
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
        current: Deployment,
        plan: Plan,
        changes: Changes,
        new: list[RunningReplica],
        on_progress: OnProgress,
    ) -> None:
        """Starts engines: on one GPU one after another (each sizes its memory by what is free),
        GPUs side by side.

        Each goes into `new` and to disk as soon as it runs, so that whoever cleans up knows of it.
        """
        llms = {llm.name: llm for llm in plan.llms}
        by_gpu: dict[tuple[str, int], list[Replica]] = defaultdict(list)
        for replica in changes.start:
            by_gpu[replica.slices[0].node, replica.slices[0].gpu].append(replica)

        async def chain(replicas: Sequence[Replica]) -> None:
            for replica in replicas:
                new.append(await self._start_one(current.name, llms[replica.llm], replica, plan))
                self._save(msgspec.structs.replace(current, replicas=(*current.replicas, *new)))
                on_progress(replica.replica)

        await _all([chain(replicas) for replicas in by_gpu.values()])

    async def _start_one(
        self, name: str, llm: LlmSpec, replica: Replica, plan: Plan
    ) -> RunningReplica:
        launch = engine_for(llm.engine).launch(
            llm,
            tp=replica.tp,
            gpu_share=replica.gpu_share,
            memory_share=replica.memory_share,
            gpu_type=plan.cluster.nodes[0].gpu_type,
            gpu_memory=plan.cluster.gpu_memory,
            port=free_port(),
            options=self.options,
        )
        log = self._directory(name) / f"{replica.replica}.log"
        process = await start(launch, log_path=log, name=replica.replica)
        return RunningReplica(
            replica=replica, pid=process.pid, born=process.born, url=process.url, log=str(log)
        )

    async def _route(
        self,
        current: Deployment,
        serving: Sequence[RunningReplica],
        port: int,
        traces: Path | None,
    ) -> RunningGateway:
        """Points the gateway at `serving`; starts one where none runs."""
        routes = tuple(
            Route(llm=one.replica.llm, replica=one.replica.replica, url=one.url) for one in serving
        )
        old = current.gateway
        if old is not None and is_alive(old.pid, old.born):
            await put_routes(old.url, routes)
            return old
        directory = self._directory(current.name)
        listen = port or free_port(self.options.host)
        config = GatewayConfig(
            host=self.options.host,
            port=listen,
            routes=routes,
            traces=None if traces is None else str(traces),
        )
        path = directory / "gateway.json"
        write_record(path, config)
        parent = ("--exit-with-parent",) if self.options.exit_with_parent else ()
        launch = Launch(
            argv=(sys.executable, "-m", "scepsy.gateway", "--config", str(path), *parent),
            url=f"http://{self.options.host}:{listen}",
        )
        log = directory / "gateway.log"
        process = await start(launch, log_path=log, name="gateway")
        return RunningGateway(pid=process.pid, born=process.born, url=process.url, log=str(log))

    async def _undo(
        self, name: str, before: Deployment | None, new: Sequence[RunningReplica]
    ) -> None:
        await _stop_all(new)
        if before is None:
            shutil.rmtree(self._directory(name), ignore_errors=True)
        else:
            self._save(before)

    def _load_if_any(self, name: str) -> Deployment | None:
        try:
            return self.load(name)
        except NotFound:
            return None

    def _directory(self, name: str) -> Path:
        if not name or "/" in name or name.startswith("."):
            raise BadInput(f"deployment name {name!r}: use letters, digits and dashes")
        return self.root / name

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
        raise failures.exceptions[0] from None


async def _stop_all(replicas: Sequence[RunningReplica]) -> None:
    await asyncio.gather(*(stop_pid(one.pid, one.born) for one in replicas))
