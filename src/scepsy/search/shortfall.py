"""Says with numbers why no allocation at all fits the cluster."""

from __future__ import annotations

from collections.abc import Callable

from scepsy.core.plan import Infeasible
from scepsy.search.measure import Measure, plain, sharper
from scepsy.search.options import Options, ReplicaSize
from scepsy.search.space import Space


def shortfall(found: Space) -> Infeasible | None:
    """Infeasible where the least of every LLM does not fit by some measure; None where it may."""
    measure = plain(found.grain, found.gpus)
    memory = [_least_shape(options, measure.weigh) for options in found.options]
    if sum(memory) > measure.capacity:
        return _memory(found, measure, memory)
    needed = [int(options.units(measure.weigh).min()) for options in found.options]
    if sum(needed) > measure.capacity:
        return Infeasible(
            "gpus",
            f"the LLMs need at least {sum(needed) / measure.scale:.1f} GPUs to sustain the "
            f"targets ({_parts(found, needed, measure)}); {_available(found)}",
        )
    for sharp in sharper(found.cluster, found.grain, found.gpus):
        needed = [int(options.units(sharp.weigh).min()) for options in found.options]
        if sum(needed) > sharp.capacity:
            return Infeasible(
                "placement",
                f"the LLMs need at least {sum(needed) / sharp.scale:.1f} GPUs to sustain the "
                f"targets, as their replicas leave parts of GPUs unused "
                f"({_parts(found, needed, sharp)}); {_available(found)}, and {sharp.gpus:g} can "
                "hold them",
            )
    return None


def _least_shape(options: Options, weigh: Callable[[ReplicaSize], int]) -> int:
    return min(weigh(shape) for shape in options.shapes)


def _memory(found: Space, measure: Measure, memory: list[int]) -> Infeasible:
    """Names the LLM that needs most, and what the others leave of the cluster."""
    most = max(range(len(memory)), key=lambda index: memory[index])
    options = found.options[most]
    shape = min(options.shapes, key=measure.weigh)
    left = measure.capacity - (sum(memory) - memory[most])
    return Infeasible(
        "memory",
        f"{options.llm.name!r} needs {memory[most] / measure.scale:.1f} GPUs of memory at "
        f"TP{shape.tp}; {max(left, 0) / measure.scale:.1f} are left by the other LLMs",
    )


def _parts(found: Space, needed: list[int], measure: Measure) -> str:
    return ", ".join(
        f"{options.llm.name!r} {units / measure.scale:.1f}"
        for options, units in zip(found.options, needed, strict=True)
        if units
    )


def _available(found: Space) -> str:
    if found.gpus < found.cluster.gpus:
        return f"{found.gpus} of the cluster's {found.cluster.gpus} may be taken"
    return f"the cluster has {found.cluster.gpus}"
