"""A Ray cluster on machines of namespaces: a head, and nodes whose GPUs are resources."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from scepsy.core.cluster import Cluster
from scepsy.deploy.ray.starting import AUTH, StartLine, start_lines
from scepsy.testing.machines import Machine, Network

HEAD = "head"
_PORT = 6379
_CLIENT_PORT = 10001
_START = 300.0
"""Seconds that `ray start` has on a machine whose cores are oversubscribed."""

TOKEN = secrets.token_hex(32)
"""Of all clusters of this process, since Ray reads a token only once."""

DETECTION = {
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}
"""A node that answers no health check for some six seconds is dead, as by our own default."""


class RayCluster:
    """The cluster as a context manager: it runs within the block, and nothing of it is left
    afterwards. Its token is known to this process alone.

    Machines are named "head" and as the nodes of `cluster`. `gpus_by_name` false makes a cluster of
    somebody else's: the nodes have GPUs as Ray counts them, and neither our names nor labels.
    """

    def __init__(
        self, cluster: Cluster, *, gpus_by_name: bool = True, cpus_per_node: int = 2
    ) -> None:
        self.cluster = cluster
        self.token = TOKEN
        self._by_name = gpus_by_name
        self._cpus = cpus_per_node
        self._stack = ExitStack()
        self._network = Network([HEAD, *(node.name for node in cluster.nodes)])
        self._lines: dict[str, StartLine] = {}

    def __enter__(self) -> RayCluster:
        with self._stack:
            self._stack.enter_context(self._network)
            lines = start_lines(
                self.cluster,
                f"{self.head.address}:{_PORT}",
                storage=str(self._network.folder / "gcs"),
                detection=DETECTION,
            )
            self._lines = {line.machine: line for line in lines}
            self.start(HEAD)
            # Ray gives up a start that takes minutes, as many at once do on few cores.
            with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2)) as threads:
                list(threads.map(self.start, [node.name for node in self.cluster.nodes]))
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def head(self) -> Machine:
        return self._network[HEAD]

    def __getitem__(self, node: str) -> Machine:
        return self._network[node]

    @property
    def folder(self) -> Path:
        """A folder that is removed with the cluster."""
        return self._network.folder

    @property
    def address(self) -> str:
        """Where Ray's client connects from outside, which this process is."""
        return f"ray://{self.head.address}:{_CLIENT_PORT}"

    @property
    def env(self) -> Mapping[str, str]:
        """What a process needs in its environment to be let in."""
        return {**AUTH, "RAY_AUTH_TOKEN": self.token}

    def start(self, name: str) -> None:
        """Starts Ray on a machine, which is powered on first if it is off. Raises CommandFailed."""
        machine, line = self._network[name], self._lines[name]
        if not machine.is_on:
            machine.power_on()
        argv = [str(Path(sys.executable).with_name("ray")), *line.argv[1:]]
        if name != HEAD:
            argv += ["--node-ip-address", machine.address]
            if not self._by_name:
                argv = _as_somebody_elses(argv, self.cluster, name)
        argv += ["--num-cpus", str(self._cpus)]
        env = {
            **line.env,
            **self.env,
            "SCEPSY_STATE": str(machine.seen_at / "scepsy"),
            "PYTHONWARNINGS": "ignore",
        }
        machine.run(*argv, timeout=_START, env=env)

    def mend(self) -> None:
        """Starts every machine again on which Ray does not run."""
        for name in self._lines:
            machine = self._network[name]
            if not machine.is_on or not machine.pids("raylet/raylet"):
                machine.power_off()
                self.start(name)

    def restart_head(self, *, away: float = 0.0) -> None:
        """Cuts the head's power and starts it again after `away` seconds."""
        self.head.power_off()
        time.sleep(away)
        self.start(HEAD)


def _as_somebody_elses(argv: list[str], cluster: Cluster, name: str) -> list[str]:
    """Without names and labels, and with GPUs."""
    gpus = next(node.gpus for node in cluster.nodes if node.name == name)
    changed = {"--num-gpus": str(gpus), "--resources": json.dumps({})}
    result = list(argv)
    for flag, value in changed.items():
        result[result.index(flag) + 1] = value
    at = result.index("--labels")
    del result[at : at + 2]
    return result
