"""Starts the engines of replicas on this machine."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import msgspec

from scepsy.core.plan import Plan, Replica
from scepsy.deploy.local.journal import ChangeJournal
from scepsy.deploy.local.launching import launch_digest, start_on_free_port
from scepsy.deploy.local.state import RunningReplica
from scepsy.deploy.local.state_directory import StateDirectory
from scepsy.engines import EngineOptions, EngineResources, Launch, engine_for
from scepsy.errors import ScepsyError, first_of


@dataclass(frozen=True, slots=True)
class EngineStarts:
    """Starts replicas of `plan` and notes their processes in `journal`.

    `on_ready` is called with a replica's name once its engine accepts requests.
    """

    plan: Plan
    options: EngineOptions
    files: StateDirectory
    journal: ChangeJournal
    on_ready: Callable[[str], None]

    async def start(self, replicas: Sequence[Replica]) -> None:
        """Starts all of them and waits until they accept requests. Engines on one GPU start one
        after another, because each sizes its memory by what is free; others start at once.

        Raises EngineFailed or PortInUse for the first that does not start; the starts that have
        not finished by then are cancelled.
        """
        turns: dict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)

        async def in_turn(replica: Replica) -> None:
            async with AsyncExitStack() as held:
                for gpu in sorted((part.node, part.gpu) for part in replica.slices):
                    await held.enter_async_context(turns[gpu])
                self.journal.note_replica(await self._start(replica))
                self.on_ready(replica.replica)

        try:
            async with asyncio.TaskGroup() as tasks:
                for replica in replicas:
                    tasks.create_task(in_turn(replica))
        except* ScepsyError as failures:
            raise first_of(failures) from None

    async def _start(self, replica: Replica) -> RunningReplica:
        llm = next(llm for llm in self.plan.llms if llm.name == replica.llm)
        log = self.files.engine_log(self.journal.current.name, replica.replica)
        resources = EngineResources(
            tp=replica.tp,
            gpu_share=replica.gpu_share,
            memory_share=replica.memory_share,
            gpu_type=self.plan.cluster.nodes[0].gpu_type,
            gpu_memory=self.plan.cluster.gpu_memory,
            gpus=tuple(part.gpu for part in replica.slices),
            boards=self.files.boards(replica),
        )

        def launch_on(port: int) -> Launch:
            return engine_for(llm.engine).launch(llm, resources, port=port, options=self.options)

        def running(pid: int, born: int, url: str) -> RunningReplica:
            return RunningReplica(replica=replica, pid=pid, born=born, url=url, log=str(log))

        process = await start_on_free_port(
            launch_on,
            host=self.options.host,
            log_path=log,
            name=replica.replica,
            on_spawn=lambda pid, born, url: self.journal.note_replica(running(pid, born, url)),
        )
        ready = running(process.pid, process.born, process.url)
        return msgspec.structs.replace(
            ready, launched=launch_digest(llm, self.plan.cluster, self.options)
        )
