"""A cluster of what was found, and what a reader of the file should know (pure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from scepsy.core.cluster import Cluster, Node
from scepsy.discover.found import FoundGpu, FoundNode
from scepsy.discover.nvlink import domain_size, odd_links
from scepsy.discover.products import PCIE_ONLY, gpu_type_of, type_note
from scepsy.errors import BadInput, did_you_mean
from scepsy.hardware.gpus import known_gpu
from scepsy.planning.input_faults import cluster_faults

EQUAL_MEMORY = 0.02
"""Relative difference of memory sizes up to which GPUs count as equal."""


@dataclass(frozen=True, slots=True)
class Described:
    """A cluster that can be planned on.

    Attributes:
        cluster: its nodes; GPUs that others use are marked as taken.
        notes: sentences about what was left out, assumed or not found.
    """

    cluster: Cluster
    notes: tuple[str, ...]


def describe(
    found: Iterable[FoundNode], *, gpu_type: str | None = None, gpu_memory: float | None = None
) -> Described:
    """Nodes without any GPU, or without any of the type `gpu_type`, are left out. `gpu_memory` is
    the memory of a GPU in bytes where nothing tells it.

    Raises:
        BadInput: there is no GPU, or no free one; there are several types and none was chosen;
            nothing tells the memory.
    """
    nodes = [_named(node, gpu_type or "") for node in found if node.gpus]
    if not nodes:
        raise BadInput("no GPU was found")
    _refuse_twice(nodes)
    chosen = _one_type(nodes, gpu_type)
    notes = [note for node in nodes for note in node.notes]
    kept = [node for node in nodes if any(gpu_type_of(gpu.product) == chosen for gpu in node.gpus)]
    if left := [node.name for node in nodes if node not in kept]:
        notes.append(f"Left out, without any {chosen}: {', '.join(left)}.")
    usable = [gpu for node in kept for gpu in node.gpus if gpu_type_of(gpu.product) == chosen]
    memory, about_memory = _memory(usable, chosen, gpu_memory)
    about_types = dict.fromkeys(type_note(gpu.product) for gpu in usable)
    notes += [*about_memory, *(note for note in about_types if note)]
    told, about_shares = _shares(kept)
    notes += about_shares
    described = tuple(_node(node, chosen) for node in told)
    cluster = Cluster(nodes=described, gpu_memory=memory)
    if not cluster.gpus:
        raise BadInput(f"no GPU is free to plan on: {_why_none(kept, chosen)}")
    for field, wrong in cluster_faults(cluster):
        raise BadInput(f"what was found is no cluster to plan on: {field}: {wrong}")
    return Described(cluster, (*notes, *chain.from_iterable(_notes(n, chosen) for n in kept)))


def _refuse_twice(nodes: Sequence[FoundNode]) -> None:
    """Raises BadInput where two nodes have a GPU of one UUID, as when a file is given twice."""
    owner: dict[str, str] = {}
    for node in nodes:
        for gpu in node.gpus:
            if gpu.uuid is not None and owner.setdefault(gpu.uuid, node.name) != node.name:
                raise BadInput(
                    f"{owner[gpu.uuid]} and {node.name} have the same GPU {gpu.uuid}; give one "
                    "file for each machine"
                )


def _named(node: FoundNode, gpu_type: str) -> FoundNode:
    """GPUs whose product nothing tells are taken to be of the type that was asked for."""
    gpus = tuple(gpu if gpu.product else replace(gpu, product=gpu_type) for gpu in node.gpus)
    return replace(node, gpus=gpus)


def _one_type(nodes: Sequence[FoundNode], wanted: str | None) -> str:
    where: dict[str, dict[str, None]] = defaultdict(dict)
    for node in nodes:
        for gpu in node.gpus:
            where[gpu_type_of(gpu.product)][node.name] = None
    if wanted is not None:
        if wanted not in where:
            types = ", ".join(sorted(where))
            meant = did_you_mean(wanted, where)
            raise BadInput(f"--gpu-type {wanted}: found were {types}{meant}")
        return wanted
    if len(where) > 1:
        each = "; ".join(f"{kind or 'unknown'} on {', '.join(where[kind])}" for kind in where)
        raise BadInput(
            f"there are several GPU types ({each}), and a cluster file describes one: choose it "
            f"with --gpu-type, as in --gpu-type {next(iter(where))}"
        )
    (only,) = where
    if not only:
        raise BadInput(f"nothing tells the GPU type of {nodes[0].name}; give it with --gpu-type")
    return only


def _memory(
    gpus: Sequence[FoundGpu], gpu_type: str, given: float | None
) -> tuple[float, tuple[str, ...]]:
    """The least memory of any GPU in bytes, and notes about it."""
    sizes = sorted(gpu.memory for gpu in gpus if gpu.memory is not None)
    if given is not None:
        return given, ()
    if sizes:
        if sizes[0] < (1 - EQUAL_MEMORY) * sizes[-1]:
            least, most = (f"{size / 1e9:.1f} GB" for size in (sizes[0], sizes[-1]))
            uneven = (
                f"Memory differs from GPU to GPU, {least} to {most}; the least is used of each."
            )
            return sizes[0], (uneven,)
        return sizes[0], ()
    constants = known_gpu(gpu_type)
    if constants is None:
        raise BadInput(f"nothing tells the memory of a {gpu_type}; give it with --gpu-memory")
    nominal = f"{constants.memory / 1e9:g} GB"
    return constants.memory, (f"Nothing tells the memory of a GPU; {nominal} is its nominal size.",)


def _shares(nodes: Sequence[FoundNode]) -> tuple[list[FoundNode], list[str]]:
    """The nodes with the shares into which they divide their GPUs, and notes about them. Where only
    some tell it, the others are taken to divide none: a device plugin that divides GPUs says so.
    """
    if all(node.shares_per_gpu is None for node in nodes):
        return list(nodes), []
    notes = [
        f"{node.name}: nothing tells how it shares GPUs; whole GPUs only, as for a device plugin "
        "without sharing."
        for node in nodes
        if node.shares_per_gpu is None
    ]
    notes.append(
        "`shares_per_gpu` is what the device plugin gives to pods now, so plans share GPUs in no "
        "other way. Where pods get GPUs by dynamic resource allocation, by MPS daemons of the "
        "nodes, by KAI or by HAMi, remove it from every node."
    )
    told = [replace(node, shares_per_gpu=node.shares_per_gpu or 1) for node in nodes]
    return told, notes


def _node(node: FoundNode, gpu_type: str) -> Node:
    size = _domain(node, gpu_type)
    uuids = tuple(gpu.uuid for gpu in node.gpus if gpu.uuid is not None)
    return Node(
        name=node.name,
        gpus=len(node.gpus),
        gpu_type=gpu_type,
        nvlink_domain=None if size == len(node.gpus) else size,
        taken=tuple(number for number, _ in _taken(node, gpu_type)),
        rack=node.rack,
        uuids=uuids if len(uuids) == len(node.gpus) else (),
        shares_per_gpu=node.shares_per_gpu,
    )


def _domain(node: FoundNode, gpu_type: str) -> int:
    """GPUs in a row that share the fastest interconnect that they have."""
    if node.linked is None or (gpu_type in PCIE_ONLY and not node.linked):
        return len(node.gpus)
    return domain_size(node.linked, len(node.gpus))


def _taken(node: FoundNode, gpu_type: str) -> Iterator[tuple[int, str]]:
    """The number of every GPU that a plan must not use, and why not."""
    for number, gpu in enumerate(node.gpus):
        if gpu.taken is not None:
            yield number, gpu.taken
        elif gpu_type_of(gpu.product) != gpu_type:
            yield number, f"it is a {gpu.product}"


def _why_none(nodes: Sequence[FoundNode], gpu_type: str) -> str:
    """Why the GPUs of each node are taken."""
    each = ((node.name, dict.fromkeys(why for _, why in _taken(node, gpu_type))) for node in nodes)
    return "; ".join(f"{name}: {', '.join(whys)}" for name, whys in each)


def _notes(node: FoundNode, gpu_type: str) -> Iterator[str]:
    for number, why in _taken(node, gpu_type):
        yield f"{node.name}: GPU {number} is left out: {why}."
    if node.linked is None and len(node.gpus) > 1:
        yield f"{node.name}: nothing tells the NVLink domains; all of its GPUs are taken for one."
    elif node.linked is not None and len(node.gpus) > 1:
        size = _domain(node, gpu_type)
        if not node.linked and gpu_type in PCIE_ONLY:
            yield f"{node.name}: there is no NVLink; TP groups exchange data over PCIe."
        elif not node.linked:
            yield (
                f"{node.name}: there is no NVLink, so no LLM gets a TP degree above 1; to allow "
                "it over PCIe, remove nvlink_domain."
            )
        elif odd := odd_links(node.linked, len(node.gpus), size):
            pairs = ", ".join(f"{a}-{b}" for a, b in odd)
            yield (
                f"{node.name}: NVLink also joins {pairs}, which does not make equal groups of "
                "neighbours; these links are not used."
            )
