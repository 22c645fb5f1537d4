"""Starts the engine of one replica on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Replica
from scepsy.deploy.local.deployment_file import DeploymentFile
from scepsy.deploy.local.launching import launch_digest, start_on_free_port
from scepsy.deploy.local.marks import mark
from scepsy.deploy.local.state import RunningReplica
from scepsy.engines import EngineProcess, EngineResources, Launch, engine_for
from scepsy.engines.process import until_ready
from scepsy.engines.procfs import is_alive
from scepsy.errors import ScepsyError


@dataclass(frozen=True, slots=True)
class EngineStart:
    """Starts replicas of the plan in `file`, with its options and its epoch."""

    file: DeploymentFile

    async def start(self, replica: Replica) -> None:
        """Starts the engine and waits until it accepts requests. Where it is starting already,
        because a command that started it was killed, it is waited for.

        Raises EngineFailed or PortInUse; then no process of it is left, and it is not noted.
        """
        known = self.file.find(replica.replica)
        try:
            if known is not None and is_alive(known.pid, known.born):
                process = EngineProcess(
                    known.name, known.pid, known.born, known.url, Path(known.log)
                )
                await until_ready(process, self._launch(replica, port=1).ready_timeout)
            else:
                await self._spawn(replica)
        except ScepsyError:
            self.file.forget([replica.replica])
            raise
        self.file.change_each([replica.replica], phase="serving")

    async def _spawn(self, replica: Replica) -> None:
        current, files = self.file.current, self.file.files
        log = files.engine_log(current.name, replica.replica)
        digest = launch_digest(self._llm(replica), current.plan.cluster, current.options)

        def note(pid: int, born: int, url: str) -> None:
            self.file.put(
                RunningReplica(
                    replica=replica,
                    pid=pid,
                    born=born,
                    url=url,
                    log=str(log),
                    launched=digest,
                    epoch=current.epoch,
                    phase="starting",
                )
            )

        await start_on_free_port(
            lambda port: self._launch(replica, port=port),
            host=current.options.host,
            log_path=log,
            name=replica.replica,
            marked=mark(files.folder(current.name)),
            on_spawn=note,
        )

    def _launch(self, replica: Replica, *, port: int) -> Launch:
        current = self.file.current
        cluster, llm = current.plan.cluster, self._llm(replica)
        resources = EngineResources(
            tp=replica.tp,
            gpu_share=replica.gpu_share,
            memory_share=replica.memory_share,
            gpu_type=cluster.nodes[0].gpu_type,
            gpu_memory=cluster.gpu_memory,
            gpus=tuple(part.gpu for part in replica.slices),
            boards=self.file.files.boards(replica),
        )
        return engine_for(llm.engine).launch(llm, resources, port=port, options=current.options)

    def _llm(self, replica: Replica) -> LlmSpec:
        return next(llm for llm in self.file.current.plan.llms if llm.name == replica.llm)
