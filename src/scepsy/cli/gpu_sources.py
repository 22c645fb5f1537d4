"""Whom `scepsy cluster discover` asks: nvidia-smi, Ray, a Kubernetes API server, or files."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scepsy.deploy.kubernetes.api import ApiRefusal, connected
from scepsy.deploy.ray.api import RayApi, ray_module
from scepsy.deploy.ray.connection import connect, disconnect
from scepsy.deploy.ray.free_gpus import GpuProbes
from scepsy.discover import FoundNode
from scepsy.discover.commands import ask_nvidia_smi
from scepsy.discover.kubernetes_nodes import Object, kubernetes_nodes, objects_of
from scepsy.discover.nvidia_smi.machine import machine
from scepsy.discover.ray_nodes import RACK_LABEL, asks_for_gpus, ray_nodes
from scepsy.errors import BadInput
from scepsy.store.files import read_bytes, read_record

KUBECTL = "kubectl get nodes,pods -A -o json"
"""The command whose output says all that is asked of Kubernetes."""
_KINDS = ("Node", "Pod")
_RUNNING = "status.phase!=Succeeded,status.phase!=Failed"


def found_by_nvidia_smi(sources: Sequence[str]) -> tuple[FoundNode, ...]:
    """The nodes of files; this machine where there are none. A source is NODE=FILE, or a file that
    is named after its node. Raises NotFound, Unreachable and BadInput.
    """
    if not sources:
        return (machine(socket.gethostname(), ask_nvidia_smi(), source="nvidia-smi"),)
    return tuple(_in_file(*_named(source)) for source in sources)


def _named(source: str) -> tuple[str, Path]:
    name, _, rest = source.rpartition("=")
    path = Path(rest)
    return name or path.stem, path


def _in_file(name: str, path: Path) -> FoundNode:
    text = read_bytes(path, "output of nvidia-smi").decode(errors="replace")
    return machine(name, text, source=str(path))


def found_by_kubernetes(
    sources: Sequence[str], context: str | None, rack_label: str | None
) -> tuple[FoundNode, ...]:
    """The nodes in files of kubectl; those that the API server lists where there are no files.

    Raises:
        BadInput: files hold no nodes or no pods; the user has no right to list them.
        NotFound, Unreachable: there is no kubeconfig, or no server that answers.
    """
    nodes, pods = _in_files(sources) if sources else asyncio.run(_listed(context))
    return kubernetes_nodes(nodes, pods, rack_label=rack_label)


def _in_files(sources: Sequence[str]) -> tuple[list[Object], list[Object]]:
    try:
        contents = [read_record(Path(one), dict[str, Any], "output of kubectl") for one in sources]
    except BadInput as error:
        raise BadInput(f"{error}; make the file with `{KUBECTL}`") from None
    nodes, pods = ([one for c in contents for one in objects_of(c, kind)] for kind in _KINDS)
    for kind, objects in zip(_KINDS, (nodes, pods), strict=True):
        if not objects:
            files = ", ".join(sources)
            raise BadInput(f"{files}: there is no {kind} object in it; make it with `{KUBECTL}`")
    return nodes, pods


async def _listed(context: str | None) -> tuple[list[Object], list[Object]]:
    async with connected(context=context) as api:
        try:
            nodes = await api.get("/api/v1/nodes")
            pods = await api.get("/api/v1/pods", fieldSelector=_RUNNING)
        except ApiRefusal as refusal:
            raise BadInput(
                f"{api.url}: {refusal.message}; ask for the right to list nodes, and pods of all "
                f"namespaces, or give what `{KUBECTL}` printed with --from"
            ) from None
    return objects_of(nodes, "Node"), objects_of(pods, "Pod")


def found_by_ray(address: str, rack_label: str | None) -> tuple[FoundNode, ...]:
    """The nodes of a Ray cluster. Raises NotFound where Ray is not installed, BadInput for an
    address that is none, and Unreachable.
    """
    connect(address)
    try:
        return asyncio.run(_asked(rack_label or RACK_LABEL))
    finally:
        disconnect()


async def _asked(rack_label: str) -> tuple[FoundNode, ...]:
    api = RayApi()
    nodes: list[Object] = await api.in_thread(ray_module().nodes)
    asked = {str(node["NodeID"]): asks_for_gpus(node) for node in nodes}
    free = await GpuProbes(api).free({node: gpus for node, gpus in asked.items() if gpus})
    return ray_nodes(nodes, free, rack_label=rack_label)
