"""From a plan to its replicas, ready to be simulated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Plan, Replica
from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.host_time import host_time
from scepsy.hardware.memory import kv_capacity
from scepsy.hardware.startable import unstartable
from scepsy.hardware.step_time import StepTimer, Timer
from scepsy.sim.cluster.bandwidth import Bandwidth
from scepsy.sim.cluster.event_queue import EventQueue
from scepsy.sim.cluster.replica import SimulatedReplica
from scepsy.sim.cluster.simulation import LlmReplicas, Simulation
from scepsy.sim.engine.continuous_batching import SimulatedEngine

TimerOf = Callable[[LlmSpec, str, int, float], Timer]
"""(LLM, GPU type, tp, GPU share) -> step times."""

Gpu = tuple[str, int]
"""(node, number)."""


def roofline(llm: LlmSpec, gpu_type: str, tp: int, gpu_share: float) -> StepTimer:
    """Step times from the shipped constants. Raises BadInput for an unknown GPU type."""
    return StepTimer(llm, gpu_constants(gpu_type), tp=tp, gpu_share=gpu_share)


def deployment(
    plan: Plan,
    timer_of: TimerOf = roofline,
    *,
    contention: bool = True,
    outside_steps: bool = True,
) -> Simulation | Infeasible:
    """The plan's replicas with empty queues at time 0. `contention`: whether engines on one GPU
    slow each other down. `outside_steps`: whether a call takes time outside of its steps
    (`HostTime.request`); step times that were fitted to measured calls include it already.

    Infeasible if not all engines of the plan could start.
    """
    wrong = unstartable(plan)
    if wrong is not None:
        return wrong
    specs = {llm.name: llm for llm in plan.llms}
    gpu_types = {node.name: node.gpu_type for node in plan.cluster.nodes}
    events = EventQueue()
    shared = _shared(plan.placement.replicas) if contention else {}
    replicas: defaultdict[str, list[SimulatedReplica]] = defaultdict(list)
    contexts: dict[str, int] = {}
    for replica in plan.placement.replicas:
        spec = specs[replica.llm]
        capacity = kv_capacity(
            spec,
            tp=replica.tp,
            memory_share=replica.memory_share,
            gpu_memory=plan.cluster.gpu_memory,
        )
        gpu_type = gpu_types[replica.slices[0].node]
        timer = timer_of(spec, gpu_type, replica.tp, replica.gpu_share)
        host = host_time(spec.engine)
        made = SimulatedReplica(
            replica.replica,
            SimulatedEngine(
                timer,
                kv_tokens=capacity,
                max_sequences=spec.max_sequences,
                step_tokens=host.step_tokens,
            ),
            events,
            gpu_share=replica.gpu_share,
            gpus=tuple(shared[gpu] for gpu in _gpus(replica) if gpu in shared),
            speed=plan.time_scale,
            request_time=host.request if outside_steps else 0.0,
        )
        context = min(spec.max_context, capacity)
        replicas[replica.llm].append(made)
        contexts[replica.llm] = min(context, contexts.get(replica.llm, context))
    return Simulation(events, {llm: LlmReplicas(replicas[llm], contexts[llm]) for llm in replicas})


def _gpus(replica: Replica) -> tuple[Gpu, ...]:
    return tuple((part.node, part.gpu) for part in replica.slices)


def _shared(replicas: Iterable[Replica]) -> dict[Gpu, Bandwidth]:
    """The GPUs on which several engines run."""
    engines: defaultdict[Gpu, int] = defaultdict(int)
    for replica in replicas:
        for gpu in _gpus(replica):
            engines[gpu] += 1
    return {gpu: Bandwidth() for gpu, count in engines.items() if count > 1}
