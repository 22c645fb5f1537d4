"""The `ray start` lines of a cluster whose GPUs are given out by name (pure)."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from scepsy.core.cluster import Cluster, Node
from scepsy.deploy.ray import names
from scepsy.errors import BadInput

PORT = 6379
"""The port of Ray's head, unless another one is chosen."""

STORAGE = "/var/lib/scepsy/ray"
"""The folder in which the head keeps what must survive its restart."""

OBJECT_STORE = 100_000_000
"""Bytes of each node's object store. Scepsy puts nothing into it; engines need the memory."""

AUTH = {"RAY_AUTH_MODE": "token"}
"""Ray then answers only who has the cluster's token."""

PATIENCE = {
    # A raylet gives up where its agents take longer than 15 s, which happens on busy machines.
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_raylet_start_wait_time_s": "120",
    # Nodes, and the engines on them, outlive a head that is away for ten minutes.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
}
"""Environment of every node."""

FAILURE_DETECTION = {
    "RAY_health_check_initial_delay_ms": "5000",
    "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}
"""Environment of the head: a node that answers no health check for six to eight seconds is dead.
Ray's own defaults take a minute where a link is cut.
"""

_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class StartLine:
    """The command that starts Ray on one machine, and its environment."""

    machine: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        """For a shell: one setting, or one flag with its value, on each line."""
        parts = [f"{name}={shlex.quote(value)}" for name, value in self.env.items()]
        words = iter(map(shlex.quote, self.argv))
        parts.append(" ".join((next(words), next(words))))
        for word in words:
            if word.startswith("--"):
                parts.append(word)
            else:
                parts[-1] += f" {word}"
        return " \\\n  ".join(parts)


def start_lines(
    cluster: Cluster,
    head: str,
    *,
    storage: str = STORAGE,
    detection: Mapping[str, str] = FAILURE_DETECTION,
) -> tuple[StartLine, ...]:
    """First the line of the head, then one for each node. `head` is its address, HOST or HOST:PORT.

    The head is a process of its own, which may run on a node as well: it owns no GPU. A node offers
    each of its GPUs that others do not use as a resource with the GPU's name, and none to Ray's own
    counting.

    Raises BadInput for an address that is none, or a node whose name cannot be a label.
    """
    host, port = _address(head)
    return (
        _head(host, port, storage, detection),
        *(_node(node, f"{host}:{port}") for node in cluster.nodes),
    )


def _head(host: str, port: int, storage: str, detection: Mapping[str, str]) -> StartLine:
    argv = (
        "ray", "start", "--head",
        "--include-dashboard", "false",
        "--node-ip-address", host,
        "--port", str(port),
        "--num-gpus", "0",
        *_frugal(),
    )  # fmt: skip
    durable = {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": storage}
    return StartLine("head", argv, {**AUTH, **durable, **PATIENCE, **detection})


def _node(node: Node, head: str) -> StartLine:
    gpus = {names.gpu_resource(node.name, gpu): 1 for gpu in node.free}
    labels = ",".join(f"{name}={value}" for name, value in labels_of(node).items())
    argv = (
        "ray", "start",
        "--address", head,
        "--num-gpus", "0",
        "--resources", json.dumps(gpus),
        "--labels", labels,
        *_frugal(),
    )  # fmt: skip
    return StartLine(node.name, argv, {**AUTH, **PATIENCE})


def labels_of(node: Node) -> dict[str, str]:
    """The labels of a node; its rack only where that can be one. Raises BadInput where its name
    cannot be one.
    """
    if _LABEL_VALUE.fullmatch(node.name) is None:
        raise BadInput(
            f"node {node.name!r}: Ray takes labels of at most 63 letters, digits, dots, dashes and "
            "underscores; rename the node in the cluster file"
        )
    labels = {names.NODE_LABEL: node.name, names.GPU_TYPE_LABEL: node.gpu_type}
    if node.rack is not None and _LABEL_VALUE.fullmatch(node.rack):
        labels[names.RACK_LABEL] = node.rack
    if node.domain_size >= node.gpus:
        return labels | {names.DOMAIN_LABEL: node.name}
    return labels | {names.DOMAIN_SIZE_LABEL: str(node.domain_size)}


def _frugal() -> tuple[str, ...]:
    return (
        "--object-store-memory", str(OBJECT_STORE),
        "--include-log-monitor", "false",
        "--disable-usage-stats",
    )  # fmt: skip


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, str(PORT)
    if not host or not port.isdigit() or not 0 < int(port) < 65536 or "/" in host:
        raise BadInput(f"head address {text!r}: use HOST or HOST:PORT, for example 10.0.0.1:{PORT}")
    return host, int(port)
