"""Why no allocation fits the cluster, with the GPUs that are needed and those that there are."""

from __future__ import annotations

from collections.abc import Callable

from scepsy.core.plan import Infeasible
from scepsy.search.constraints import GpuConstraint, total_gpus, valid_inequalities
from scepsy.search.options import Options, ReplicaSize
from scepsy.search.space import Space


def shortfall(found: Space) -> Infeasible | None:
    """Infeasible where even the smallest options of all LLMs violate a constraint; None where some
    allocation may fit.
    """
    constraint = total_gpus(found.grain, found.gpus)
    memory = [_least_shape(options, constraint.weigh) for options in found.options]
    if sum(memory) > constraint.capacity:
        return _memory(found, constraint, memory)
    needed = [int(options.units(constraint.weigh).min()) for options in found.options]
    if sum(needed) > constraint.capacity:
        return Infeasible(
            "gpus",
            f"the LLMs need at least {sum(needed) / constraint.scale:.1f} GPUs to sustain the "
            f"targets ({_parts(found, needed, constraint)}); {_available(found)}",
        )
    for constraint in valid_inequalities(found.cluster, found.grain, found.gpus):
        needed = [int(options.units(constraint.weigh).min()) for options in found.options]
        if sum(needed) > constraint.capacity:
            return Infeasible(
                "placement",
                f"the LLMs need at least {sum(needed) / constraint.scale:.1f} GPUs to sustain the "
                f"targets, as their replicas leave parts of GPUs unused "
                f"({_parts(found, needed, constraint)}); {_available(found)}, and "
                f"{constraint.gpus:g} can hold them",
            )
    return None


def _least_shape(options: Options, weigh: Callable[[ReplicaSize], int]) -> int:
    return min(weigh(shape) for shape in options.shapes)


def _memory(found: Space, constraint: GpuConstraint, memory: list[int]) -> Infeasible:
    """Names the LLM that needs the most memory, and the GPUs that the others leave."""
    most = max(range(len(memory)), key=lambda index: memory[index])
    options = found.options[most]
    shape = min(options.shapes, key=constraint.weigh)
    left = constraint.capacity - (sum(memory) - memory[most])
    return Infeasible(
        "memory",
        f"{options.llm.name!r} needs {memory[most] / constraint.scale:.1f} GPUs of memory at "
        f"TP{shape.tp}; {max(left, 0) / constraint.scale:.1f} are left by the other LLMs",
    )


def _parts(found: Space, needed: list[int], constraint: GpuConstraint) -> str:
    return ", ".join(
        f"{options.llm.name!r} {units / constraint.scale:.1f}"
        for options, units in zip(found.options, needed, strict=True)
        if units
    )


def _available(found: Space) -> str:
    if found.gpus < found.cluster.gpus:
        return f"{found.gpus} of the cluster's {found.cluster.gpus} may be taken"
    return f"the cluster has {found.cluster.gpus}"
