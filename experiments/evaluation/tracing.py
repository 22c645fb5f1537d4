"""Runs of the programs on idle engines, as traces: what the planners get to know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cache

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, Explanation, Placement, Plan, Prediction, Target
from scepsy.core.trace import BLOCK_CHARS, Call, Trace
from scepsy.peers.sizing import placed, tp_degrees, whole
from scepsy.sim.cluster.deployment import deployment
from scepsy.sim.cluster.simulation import ServedCall, Simulation
from scepsy.sim.workload.open_loop import OpenLoopLoad, Workflow, simulate

APART = 1e4
"""Seconds between runs: they do not meet."""
ENDPOINTS = {"generate": "chat", "embed": "embeddings", "rerank": "rerank"}


def cluster(gpus: int, gpu_type: str) -> Cluster:
    """Nodes of eight, the last or only one smaller where there are fewer."""
    sizes = [8] * (gpus // 8) + ([gpus % 8] if gpus % 8 else [])
    return Cluster(
        nodes=tuple(
            Node(name=f"n{index}", gpus=size, gpu_type=gpu_type) for index, size in enumerate(sizes)
        )
    )


def plan_of(
    placement: Placement, llms: Iterable[LlmSpec], machines: Cluster, targets: Iterable[Target] = ()
) -> Plan:
    """A placement as the simulator takes it."""
    return Plan(
        cluster=machines,
        llms=tuple(llms),
        targets=tuple(targets),
        demands=(),
        allocation=Allocation(llms=()),
        placement=placement,
        prediction=Prediction(objective=0.0, workflows=(), utilisation={}),
        explanation=Explanation(summary=()),
    )


def traced(workflow: Workflow, runs: int, llms: tuple[LlmSpec, ...], gpu_type: str) -> list[Trace]:
    """Runs one at a time, on one replica of each LLM at its smallest TP degree."""
    machines = cluster(16, gpu_type)
    placement = placed([whole(one.name, tp_degrees(one, machines)[0], 1) for one in llms], machines)
    assert isinstance(placement, Placement)
    simulation = deployment(plan_of(placement, llms, machines))
    assert isinstance(simulation, Simulation)
    simulate(simulation, [OpenLoopLoad(workflow, [APART * number for number in range(runs)])])
    kinds = {one.name: one.kind for one in llms}
    calls: defaultdict[int, list[Call]] = defaultdict(list)
    for number, call in enumerate(simulation.calls):
        calls[call.run].append(_call(number, call, kinds[call.ask.llm]))
    return [
        Trace(
            run=str(number),
            workflow=run.workflow,
            start=run.arrival,
            end=run.end,
            calls=tuple(calls[number]),
        )
        for number, run in enumerate(simulation.runs)
    ]


@cache
def _name(block: int) -> str:
    return str(block)


def _call(number: int, call: ServedCall, kind: str) -> Call:
    """A trace hashes characters in blocks, an engine tokens: blocks of 16 tokens have 256 here."""
    ask = call.ask
    return Call(
        call=f"{call.workflow}/{number}",
        run=str(call.run),
        workflow=call.workflow,
        llm=ask.llm,
        endpoint=ENDPOINTS[kind],  # pyright: ignore[reportArgumentType]
        start=call.start,
        end=call.end,
        status=200,
        prompt_tokens=ask.prompt_tokens,
        cached_tokens=call.cached_tokens,
        output_tokens=ask.output_tokens,
        items=ask.items,
        prompt_blocks=tuple(map(_name, ask.blocks)),
        prompt_chars=ask.prompt_tokens * BLOCK_CHARS // 16,
    )
