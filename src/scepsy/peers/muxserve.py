"""Several LLMs on one group of GPUs (a mesh), each with a share of the multiprocessors.

Source: MuxServe (arXiv 2404.02015): enumerate groups of meshes; place the LLMs one by one, in
falling order of computation, onto the mesh where throughput rises most. For each (LLM, mesh) the
only candidate is the smallest share of the multiprocessors that carries the LLM's rate. Our
implementation of that policy.

What it is given: the call rate of each LLM (it does not know workflows), our profiles, and further
replicas of an LLM whose load exceeds a whole mesh, which its algorithm does not have. What it is
not given: its engine's temporal multiplexing of prefills. Shares are static here, and what is left
of a mesh goes to its LLMs in proportion to their shares. The throughput of a share of a TP group is
that of the whole group times `gpus.bandwidth_kept`, which comes from MuxServe's own measurements.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Placement, Replica, Slice
from scepsy.hardware.gpus import bandwidth_kept
from scepsy.peers.sizing import load
from scepsy.planning.problem import Problem
from scepsy.search import floors

TENTHS = 10
"""Shares are whole tenths of a GPU's multiprocessors, as in MuxServe."""
UTILISATION_MAX = 0.9
"""Utilisation of a mesh above which an LLM gets another replica."""


@dataclass(slots=True)
class _Mesh:
    """A group of GPUs. `parts`: tenths by LLM. `memory`: the fraction of memory that is free."""

    node: str
    gpus: tuple[int, ...]
    parts: dict[str, int] = field(default_factory=dict[str, int])
    memory: float = 1.0

    @property
    def free(self) -> int:
        return TENTHS - sum(self.parts.values())


def muxserve(problem: Problem) -> Placement | Infeasible:
    """The division of the NVLink domains into meshes that carries the highest load."""
    return _best(problem, mixed=True)


def without_parts_of_groups(problem: Problem) -> Placement | Infeasible:
    """The same, but only one LLM on a mesh of several GPUs, as in our own search: only MuxServe's
    engine has been shown to work with TP groups that share their GPUs.
    """
    return _best(problem, mixed=False)


def _best(problem: Problem, *, mixed: bool) -> Placement | Infeasible:
    best: tuple[float, float, list[_Mesh]] | None = None
    for sizes in _groups(problem.cluster.largest_domain):
        meshes = list(_meshes(problem.cluster, sizes))
        carried = _fill(problem, meshes, mixed)
        if carried is None:
            continue
        key = (carried, -max(_fullness(mesh) for mesh in meshes))
        if best is None or key > best[:2]:
            best = (*key, meshes)
    if best is None:
        return Infeasible("memory", "no division into meshes has room for every LLM")
    return _placement(problem, best[2])


def _groups(domain: int) -> Iterator[tuple[int, ...]]:
    """Every way to write a domain's size as a sum of powers of two, the largest first."""

    def parts(left: int, most: int) -> Iterator[tuple[int, ...]]:
        if not left:
            yield ()
        while most:
            if most <= left:
                for rest in parts(left - most, most):
                    yield (most, *rest)
            most //= 2

    yield from parts(domain, 1 << (domain.bit_length() - 1))


def _meshes(cluster: Cluster, sizes: tuple[int, ...]) -> Iterator[_Mesh]:
    """The same mesh sizes in every domain; a smaller domain takes those that fit."""
    for node in cluster.nodes:
        for domain in node.domains:
            first = 0
            for size in sizes:
                if first + size <= len(domain):
                    yield _Mesh(node.name, domain[first : first + size])
                    first += size


def _fill(problem: Problem, meshes: list[_Mesh], mixed: bool) -> float | None:
    """Puts replicas of all LLMs onto meshes. Returns the least fraction of its rate that is carried
    for any LLM; None if an LLM has no room.
    """
    llms = sorted(problem.needed_llms, key=lambda llm: -_work(problem, llm))
    carried = dict.fromkeys((llm.name for llm in llms), 0.0)
    for number in range(len(meshes)):
        for llm in llms:
            if carried[llm.name] < 1.0:
                room = [mesh for mesh in meshes if mixed or len(mesh.gpus) == 1 or not mesh.parts]
                gain = _put(problem, llm, room, 1.0 - carried[llm.name])
                if not number and not gain:
                    return None
                carried[llm.name] += gain
        if min(carried.values()) >= 1.0:
            break
    return min(carried.values())


def _work(problem: Problem, llm: LlmSpec) -> float:
    """Computation that the LLM needs: call rate times parameters."""
    rate = sum(flow.rate for flow in problem.pipeline.flows(llm.name))
    return rate * llm.parameters


def _put(problem: Problem, llm: LlmSpec, meshes: list[_Mesh], wanted: float) -> float:
    """Puts one replica where it carries most of `wanted` (a fraction of the LLM's rate) with the
    smallest share of a mesh. Returns the fraction that it carries; 0 if there is no room.
    """
    needed = floors(llm, problem.cluster)
    best: tuple[float, float, int, _Mesh] | None = None
    loads: dict[int, float] = {}
    for mesh in meshes:
        tp = len(mesh.gpus)
        if llm.name in mesh.parts or needed.get(tp, 2.0) > mesh.memory or mesh.free < 1:
            continue
        if tp not in loads:
            loads[tp] = load(problem, llm, tp)
        replicas = loads[tp]
        part = next(
            (one for one in range(1, mesh.free) if _carries(replicas, one) >= wanted), mesh.free
        )
        gain = min(wanted, _carries(replicas, part))
        key = (gain, -part * tp)
        if best is None or key > best[:2]:
            best = (*key, part, mesh)
    if best is None:
        return 0.0
    gain, _, part, mesh = best
    mesh.parts[llm.name] = part
    mesh.memory -= needed[len(mesh.gpus)]
    return gain


def _carries(replicas: float, part: int) -> float:
    """The fraction of an LLM's rate that `part` tenths of a mesh carry, where `replicas` whole
    meshes carry all of it.
    """
    return UTILISATION_MAX * bandwidth_kept(part / TENTHS) / replicas


def _fullness(mesh: _Mesh) -> float:
    return 1.0 - mesh.free / TENTHS


def _placement(problem: Problem, meshes: list[_Mesh]) -> Placement:
    """Divides what is free on each mesh among its LLMs: compute in proportion, memory equally."""
    specs = {llm.name: llm for llm in problem.needed_llms}
    count = dict.fromkeys(specs, 0)
    replicas: list[Replica] = []
    for mesh in meshes:
        for name, part in mesh.parts.items():
            tp = len(mesh.gpus)
            floor = floors(specs[name], problem.cluster)[tp]
            share = part / sum(mesh.parts.values())
            memory = floor + mesh.memory / len(mesh.parts)
            slices = tuple(
                Slice(node=mesh.node, gpu=gpu, gpu_share=share, memory_share=memory)
                for gpu in mesh.gpus
            )
            replicas.append(
                Replica(replica=f"{name}-{count[name]}", llm=name, tp=tp, slices=slices)
            )
            count[name] += 1
    return Placement(replicas=tuple(sorted(replicas, key=lambda one: one.replica)))
