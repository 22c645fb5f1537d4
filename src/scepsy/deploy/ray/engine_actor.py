"""The actor that owns the engine of one replica: it starts it on its node and keeps it running."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from scepsy.deploy.ray.api import node_address
from scepsy.deploy.ray.loop_thread import LoopThread
from scepsy.deploy.ray.mps import needs_mps
from scepsy.deploy.ray.mps_actor import daemon_of
from scepsy.deploy.ray.node_folder import log_path, node_folder
from scepsy.deploy.ray.records import EngineOrder
from scepsy.deploy.ray.supervised import SupervisedProcess
from scepsy.engines import EngineResources, Launch, engine_for, gpu_board


class EngineActor:
    """Made by Ray with an `EngineOrder` as JSON. When the actor ends, by whatever cause, its engine
    ends; where Ray restarts the actor, the engine starts anew.
    """

    def __init__(self, order: bytes) -> None:
        self._order = msgspec.json.decode(order, type=EngineOrder)
        self._host = node_address()
        replica, epoch = self._order.replica.replica, self._order.epoch
        self._process = SupervisedProcess(
            name=replica,
            log=log_path(self._order.deployment, f"{epoch}-{replica}"),
            policy=self._order.policy,
            launch_on=self._launch,
            host=self._host,
        )
        self._thread = LoopThread()
        self._running = self._thread.begin(self._process.run())

    def report(self) -> bytes:
        """A `ProcessReport` as JSON."""
        return msgspec.json.encode(self._process.report())

    def stop(self) -> None:
        """Stops the engine with all its child processes, and waits until they have gone."""
        self._thread.end(self._running)

    def _launch(self, port: int) -> Launch:
        order = self._order
        parts = order.replica.slices
        resources = EngineResources(
            tp=order.replica.tp,
            gpu_share=order.replica.gpu_share,
            memory_share=order.replica.memory_share,
            gpu_type=order.gpu_type,
            gpu_memory=order.gpu_memory,
            gpus=order.gpus,
            boards=tuple(str(gpu_board(node_folder(), part.node, part.gpu)) for part in parts),
        )
        options = replace(order.options, host=self._host, exit_with_parent=True)
        launch = engine_for(order.llm.engine).launch(
            order.llm, resources, port=port, options=options
        )
        if not needs_mps(order.replica, order.llm.engine, order.gpu_type):
            return launch
        daemon = daemon_of(order.gpus[0])
        return replace(launch, env={**launch.env, **daemon.client_env})
