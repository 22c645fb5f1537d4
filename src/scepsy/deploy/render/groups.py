"""The replicas of a plan by LLM, as other systems count them (pure)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.core.plan import Plan, Replica, size_name
from scepsy.deploy.kubernetes.objects.options import LaunchIn
from scepsy.engines.protocol import EngineResources, Launch


@dataclass(frozen=True, slots=True)
class LlmGroup:
    """All replicas of one LLM, which have one size.

    Attributes:
        llm: the LLM.
        replicas: its replicas, sorted by name.
    """

    llm: LlmSpec
    replicas: tuple[Replica, ...]

    @property
    def tp(self) -> int:
        return self.replicas[0].tp

    @property
    def gpu_share(self) -> float:
        return self.replicas[0].gpu_share

    @property
    def is_part(self) -> bool:
        return self.gpu_share < 1

    @property
    def size(self) -> str:
        return size_name(self.tp, self.gpu_share)

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(sorted({one.slices[0].node for one in self.replicas}))


def by_llm(plan: Plan) -> tuple[LlmGroup, ...]:
    """The LLMs that have replicas, sorted by name."""
    llms = {llm.name: llm for llm in plan.llms}
    found: dict[str, list[Replica]] = {}
    for replica in sorted(plan.placement.replicas, key=lambda one: one.replica):
        found.setdefault(replica.llm, []).append(replica)
    return tuple(LlmGroup(llms[name], tuple(found[name])) for name in sorted(found))


def refusals(plan: Plan, engines: tuple[EngineKind, ...], target: str) -> Iterator[str]:
    """Why a system that serves each LLM with equal replicas on these engines cannot carry it."""
    for one in by_llm(plan):
        if one.llm.engine not in engines:
            yield (
                f"LLM {one.llm.name!r} has the engine {one.llm.engine!r}; {target} runs "
                f"{' or '.join(engines)}."
            )
        sizes = {(each.tp, each.gpu_share, each.memory_share) for each in one.replicas}
        if len(sizes) > 1:
            yield f"LLM {one.llm.name!r} has replicas of several sizes; {target} knows one."


def launch_of(plan: Plan, one: LlmGroup, launch_in: LaunchIn, *, whole: bool) -> Launch:
    """The command of each replica. With `whole`, that of a replica on whole GPUs."""
    types = {node.name: node.gpu_type for node in plan.cluster.nodes}
    replica = one.replicas[0]
    resources = EngineResources(
        tp=one.tp,
        gpu_share=1.0 if whole else replica.gpu_share,
        memory_share=1.0 if whole else replica.memory_share,
        gpu_type=types[replica.slices[0].node],
        gpu_memory=plan.cluster.gpu_memory,
    )
    return launch_in(one.llm, resources)


def exact_places_lost(plan: Plan, *, nodes: bool) -> Iterator[str]:
    """What a system loses that chooses GPUs, and with `nodes` also the node, itself."""
    if not plan.placement.replicas:
        return
    if nodes:
        yield "The nodes and the exact GPUs: its own scheduler chooses them."
    else:
        yield "The exact GPUs: its scheduler chooses GPUs of the plan's nodes."
        spread = [one for one in by_llm(plan) if len(one.nodes) > 1]
        for one in spread:
            counts = Counter(each.slices[0].node for each in one.replicas)
            wanted = ", ".join(f"{count} on {node}" for node, count in sorted(counts.items()))
            yield f"How many replicas of {one.llm.name} are on each node ({wanted})."


def shares_lost(plan: Plan) -> Iterator[str]:
    """Shares that become whole GPUs, and what that costs."""
    parts = [one for one in by_llm(plan) if one.is_part]
    for one in parts:
        yield (
            f"The shares of {one.llm.name}: each replica ({len(one.replicas)} in all) gets "
            f"{one.tp} whole GPU{'' if one.tp == 1 else 's'} instead of {one.size}."
        )
    if parts:
        gpus = sum(one.tp * len(one.replicas) for one in by_llm(plan))
        yield f"The number of GPUs: this takes {gpus}, the plan {plan.placement.gpus}."


def order_lost(plan: Plan) -> Iterator[str]:
    if any(one.is_part for one in by_llm(plan)):
        yield (
            "The order of starts: engines on one GPU may start at once, and size their memory by "
            "what is free then."
        )


def whole_gpus(one: LlmGroup) -> int:
    """GPUs that all its replicas take, rounded up to whole ones."""
    return math.ceil(sum(each.tp * each.gpu_share for each in one.replicas) - 1e-9)
