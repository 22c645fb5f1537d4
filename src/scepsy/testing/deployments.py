"""Hypothesis strategies: plans that fit a small cluster, and deployments in any state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from hypothesis import strategies as st

from scepsy.core.cluster import Cluster
from scepsy.core.demand import Demand, LlmDemand, Spread
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import (
    Allocation,
    Explanation,
    Placement,
    Plan,
    Prediction,
    Replica,
    Slice,
    Target,
)
from scepsy.deploy.changes.ledger import Ledger, parts_of
from scepsy.deploy.changes.limits import Room
from scepsy.deploy.changes.observed import GpuId, Observed, ObservedReplica, ReplicaState

LLMS = {
    name: LlmSpec(name=name, parameters=parameters, min_kv_tokens=1)
    for name, parameters in (("a", 1e9), ("b", 2e9), ("c", 4e9))
}
SHARES = (0.2, 0.3, 0.5, 0.7, 1.0)
STATES: tuple[ReplicaState, ...] = get_args(ReplicaState)
NOTHING = Spread(mean=0.0, cv=0.0, p10=0.0, p50=0.0, p90=0.0)


def replica(
    name: str, *gpus: GpuId, share: float = 1.0, memory: float | None = None, llm: str = ""
) -> Replica:
    """A replica of the LLM before the dash in its name, with equal parts of all its GPUs."""
    memory_share = share if memory is None else memory
    return Replica(
        replica=name,
        llm=llm or name.rpartition("-")[0],
        tp=len(gpus),
        slices=tuple(
            Slice(node=node, gpu=gpu, gpu_share=share, memory_share=memory_share)
            for node, gpu in gpus
        ),
    )


def plan_of(
    cluster: Cluster, replicas: Iterable[Replica], used: Mapping[str, float] | None = None
) -> Plan:
    """A plan with these replicas, each LLM of which is called once per second at its target, and
    which use the part `used` of the LLM's capacity; one half where it is not named.
    """
    placed = tuple(sorted(replicas, key=lambda one: one.replica))
    llms = sorted({one.llm for one in placed})
    return Plan(
        cluster=cluster,
        llms=tuple(LLMS.get(name) or LlmSpec(name=name, parameters=1e9) for name in llms),
        targets=tuple(Target(workflow=llm, rate=1.0) for llm in llms),
        demands=tuple(_demand(llm) for llm in llms),
        allocation=Allocation(llms=()),
        placement=Placement(replicas=placed),
        prediction=Prediction(
            objective=0.0,
            workflows=(),
            utilisation={llm: (used or {}).get(llm, 0.5) for llm in llms},
        ),
        explanation=Explanation(summary=()),
    )


def _demand(llm: str) -> Demand:
    each = LlmDemand(
        llm=llm, calls=1.0, parallelism=1.0, busy=1.0, duration=1.0, time_share=NOTHING
    )
    return Demand(workflow=llm, runs=1, latency=NOTHING, other_time=0.0, llms=(each,))


@st.composite
def fitting_replicas(
    draw: st.DrawFn,
    cluster: Cluster,
    room: Mapping[GpuId, Room],
    *,
    most: int = 6,
    shares: Sequence[float] = SHARES,
) -> tuple[Replica, ...]:
    """Replicas of up to three LLMs at TP 1 and 2 for which the GPUs have room."""
    groups: list[tuple[GpuId, ...]] = [(gpu,) for gpu in room]
    for node in cluster.nodes:
        for domain in node.domains:
            pairs = zip(domain[::2], domain[1::2], strict=False)
            groups += [((node.name, one), (node.name, two)) for one, two in pairs]
    ledger = Ledger(room)
    placed: list[Replica] = []
    llms = st.sampled_from(sorted(LLMS))
    for number in range(draw(st.integers(0, most))):
        llm, group = draw(llms), draw(st.sampled_from(groups))
        share, memory = draw(st.sampled_from(shares)), draw(st.sampled_from(shares))
        one = replica(f"{llm}-{number}", *group, share=share, memory=memory)
        if ledger.has_room(parts_of(one)):
            ledger.take(parts_of(one))
            placed.append(one)
    return tuple(placed)


@st.composite
def observations(
    draw: st.DrawFn, replicas: Sequence[Replica], epoch: int = 1, *, healthy: bool = False
) -> Observed:
    """These replicas, each in any state; with `healthy`, all of them ready and routed to."""
    seen: list[ObservedReplica] = []
    for one in replicas:
        state = "ready" if healthy else draw(st.sampled_from(("ready", *STATES)))
        seen.append(
            ObservedReplica(
                one,
                state=state,
                routed=healthy or (state in ("ready", "hung", "dead") and draw(st.booleans())),
                epoch=epoch,
                outdated=draw(st.booleans()) and draw(st.booleans()),
                memory_held=0.1 * one.memory_share if state == "sleeping" else None,
            )
        )
    nodes = sorted({part.node for one in replicas for part in one.slices})
    places = [(node, llm) for node in nodes for llm in sorted(LLMS)]
    weights = (
        draw(st.frozensets(st.sampled_from(places))) if places else frozenset[tuple[str, str]]()
    )
    times = draw(st.dictionaries(st.sampled_from(sorted(LLMS)), st.floats(0.1, 600)))
    return Observed(tuple(seen), weights, times)
