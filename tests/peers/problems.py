"""Random planning problems with made-up but plausible responses."""

from __future__ import annotations

from hypothesis import strategies as st

from builders import curve
from scepsy.core.cluster import Cluster, Node
from scepsy.core.demand import Demand, LlmDemand, Spread
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, LlmAllocation, Placement, Target
from scepsy.planning.problem import Problem
from scepsy.predict import Pipeline, responses

SIZES = (0.6e9, 8e9, 32e9, 70e9)
SPREAD = Spread(mean=1.0, cv=0.1, p10=1.0, p50=1.0, p90=1.0)
USED = (0.0, 0.4, 0.8, 0.95)


def cluster(nodes: int, gpus: int, domain: int | None = None) -> Cluster:
    return Cluster(
        nodes=tuple(
            Node(name=f"n{index}", gpus=gpus, nvlink_domain=domain) for index in range(nodes)
        )
    )


def llm(name: str, parameters: float) -> LlmSpec:
    return LlmSpec(
        name=name, parameters=parameters, layers=32, hidden=4096, kv_heads=8, head_dim=128
    )


def problem(
    asked: dict[str, tuple[float, float, float]], machines: Cluster, rate: float
) -> Problem:
    """`asked`: by LLM its parameters, calls per run and seconds of an idle call at TP1."""
    curves = [
        curve(
            name,
            {
                used * top: seconds / (tp**0.6 * share) / (1 - 0.7 * used)
                for used in USED
                for top in [4.0 / seconds * tp**0.8 * share]
            },
            tp=tp,
            gpu_share=share,
            max_throughput=4.0 / seconds * tp**0.8 * share,
        )
        for name, (_, _, seconds) in asked.items()
        for tp in (1, 2, 4, 8)
        for share in (0.2, 0.5, 1.0)
    ]
    demand = Demand(
        workflow="w",
        runs=10,
        latency=SPREAD,
        other_time=0.0,
        llms=tuple(
            LlmDemand(
                llm=name,
                calls=calls,
                parallelism=max(1.0, calls / 2),
                busy=1.0,
                duration=1.0,
                time_share=SPREAD,
            )
            for name, (_, calls, _) in asked.items()
        ),
    )
    return Problem(
        Pipeline((demand,), (Target(workflow="w", rate=rate),), responses(curves)),
        llms=tuple(llm(name, of[0]) for name, of in asked.items()),
        cluster=machines,
        share_step=0.1,
    )


@st.composite
def problems(draw: st.DrawFn, most_llms: int = 4, most_nodes: int = 3) -> Problem:
    names = "abcd"[: draw(st.integers(1, most_llms))]
    asked = {
        name: (
            draw(st.sampled_from(SIZES)),
            draw(st.sampled_from((1.0, 3.0, 12.0))),
            draw(st.sampled_from((0.05, 0.5, 3.0))),
        )
        for name in names
    }
    gpus = draw(st.sampled_from((1, 2, 3, 4, 8)))
    domain = draw(st.sampled_from((None, 2)))
    machines = cluster(draw(st.integers(1, most_nodes)), gpus, domain if gpus >= 2 else None)
    return problem(asked, machines, draw(st.sampled_from((0.05, 0.4, 2.0))))


def allocation_of(placement: Placement) -> Allocation:
    """How much of each LLM a placement has."""
    parts: dict[str, LlmAllocation] = {}
    for one in placement.replicas:
        known = parts.get(one.llm)
        parts[one.llm] = LlmAllocation(
            llm=one.llm,
            tp=one.tp,
            gpu_share=one.gpu_share,
            memory_share=one.memory_share,
            replicas=1 + (known.replicas if known else 0),
        )
    return Allocation(llms=tuple(parts[llm] for llm in sorted(parts)))
