"""Engines of several LLMs on one group of GPUs, each with its part of the multiprocessors.

Source: MuxServe (arXiv 2404.02015): enumerate groups of meshes; put LLMs, those of the largest
computation first, one by one onto the mesh where the throughput gained is greatest; of each (LLM,
mesh) only the fewest multiprocessors that carry the LLM's rate are a candidate. Our implementation
of that policy.

What it is given: per-LLM rates (workflows are unknown to it), our profiles, and replicas of an
LLM whose load exceeds a whole mesh, which its algorithm does not have. What it is not given: its
engine's temporal multiplexing of prefills; parts are static here, and parts that stay free on a
mesh are given to its LLMs in proportion. Throughput at a part of TP > 1 is that at TP on whole GPUs
times the bandwidth kept (`gpus.bandwidth_kept`: its own measurements).
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

GRAIN = 10
"""Parts of a GPU's multiprocessors, as MuxServe's own tenths."""
FULLEST = 0.9
"""Of what a whole mesh carries, before another replica is made."""


@dataclass(slots=True)
class _Mesh:
    """A group of GPUs: the LLMs on it with their parts (of ten), and memory still free."""

    node: str
    gpus: range
    parts: dict[str, int] = field(default_factory=dict[str, int])
    memory: float = 1.0

    @property
    def free(self) -> int:
        return GRAIN - sum(self.parts.values())


def muxserve(problem: Problem) -> Placement | Infeasible:
    """Of all groups of equal meshes per domain, the one that carries the most."""
    return _best(problem, mixed=True)


def without_parts_of_groups(problem: Problem) -> Placement | Infeasible:
    """The same where a mesh of several GPUs is one LLM's alone, as in our own search: engines that
    share each GPU of a TP group have been shown to work in MuxServe's engine only.
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
        return Infeasible("memory", "on no group of meshes is there room for every LLM")
    return _placement(problem, best[2])


def _groups(domain: int) -> Iterator[tuple[int, ...]]:
    """Falling powers of two that make up a domain."""

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
    """The same groups in every domain, cut off where one is smaller."""
    for node in cluster.nodes:
        for domain in node.domains:
            first = domain.start
            for size in sizes:
                if first + size <= domain.stop:
                    yield _Mesh(node.name, range(first, first + size))
                    first += size


def _fill(problem: Problem, meshes: list[_Mesh], mixed: bool) -> float | None:
    """Puts replicas of all LLMs onto meshes; the least part of its rate that any LLM gets carried,
    None where one has no room.
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
    """Computation that an LLM is asked for: its rate times its size."""
    rate = sum(flow.rate for flow in problem.pipeline.flows(llm.name))
    return rate * llm.parameters


def _put(problem: Problem, llm: LlmSpec, meshes: list[_Mesh], wanted: float) -> float:
    """One replica where it carries most of what is wanted with the smallest part of a mesh; the
    part of the LLM's rate that it carries, 0 where there is no room.
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
    """The part of an LLM's rate that `part` tenths of a mesh carry; whole ones take `replicas`."""
    return FULLEST * bandwidth_kept(part / GRAIN) / replicas


def _fullness(mesh: _Mesh) -> float:
    return 1.0 - mesh.free / GRAIN


def _placement(problem: Problem, meshes: list[_Mesh]) -> Placement:
    """What is free on a mesh goes to its LLMs: compute in proportion, memory in equal parts."""
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
