"""Estimated curves of a replica, from rounds of calls in simulated time (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scepsy.core.cluster import Cluster
from scepsy.core.profile import Curve
from scepsy.core.trace import Call, Trace
from scepsy.curves.bursts import Stream, bursts_of
from scepsy.curves.jobs import Job
from scepsy.curves.simulated_engine import EngineModel, longest
from scepsy.curves.throughput_alone import throughput_alone
from scepsy.errors import BadInput
from scepsy.estimate.queueing.birth_death import idle_latency, max_sustained_rate, open_loop_point
from scepsy.estimate.queueing.closed_loop import closed_loop
from scepsy.estimate.step_times.steps import StepTimes
from scepsy.hardware.memory import BLOCK_TOKENS, kv_capacity
from scepsy.sim.workload.prefixes import prompt_blocks

UTILISATIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.86, 0.92)
"""Utilisations of the curve's points. Nearer to saturation the mean latency depends on the length
of the simulation.
"""

QUEUEING_ERROR = 0.08
"""The least relative error of an estimated mean latency, however exact its step times are: that of
the birth-death process, which is 7% (at 60% of saturation) to 16% (at 75%) too slow for RAG. The
90% interval of 8% holds 16% (docs/evaluation/estimates.md).
"""


def estimate(
    job: Job,
    traces: Sequence[Trace],
    cluster: Cluster,
    sources: Sequence[StepTimes],
    mix: Mapping[str, float] | None = None,
) -> list[Curve] | str:
    """A curve for each workflow of the job, from the first source that has step times for it; or
    the reason why there is none.

    Raises BadInput for a traced call that is longer than the LLM's `max_context`.
    """
    had = ((steps, steps.timer(job.llm, job.tp, job.gpu_share)) for steps in sources)
    steps, timer = next((one for one in had if one[1] is not None), (None, None))
    if steps is None or timer is None:
        return f"{job}: no step times are known"
    by_workflow = {name: [t for t in traces if t.workflow == name] for name in job.workflows}
    runs = {name: bursts_of(of, job.llm.name) for name, of in by_workflow.items()}
    rates = {name: (mix or {}).get(name, 1.0) for name in job.workflows}
    stream = Stream(runs=runs, rates=rates)
    calls = [call for of in runs.values() for run in of for burst in run for call in burst.calls]
    kv_tokens = kv_capacity(
        job.llm, tp=job.tp, memory_share=job.memory_share, gpu_memory=cluster.gpu_memory
    )
    if reason := _too_long(job, calls, kv_tokens):
        return reason
    engine = EngineModel(job.llm, timer, kv_tokens, steps.request(job.llm), prompt_blocks(calls))
    populations = closed_loop(engine, stream)
    total = max_sustained_rate(populations)
    top = throughput_alone(
        total, stream.calls, {name: idle_latency(populations, name) for name in runs}
    )
    return [
        Curve(
            llm=job.llm.name,
            workflow=name,
            tp=job.tp,
            gpu_share=job.gpu_share,
            points=tuple(
                open_loop_point(populations, name, u * total, u * top[name]) for u in UTILISATIONS
            ),
            max_throughput=top[name],
            mix=dict(rates),
            engine=f"{job.llm.engine} (estimated)",
            gpu_type=steps.gpu_type,
            source=steps.source,
            error=max(steps.error(job.llm), QUEUEING_ERROR),
        )
        for name in top
    ]


def _too_long(job: Job, calls: Sequence[Call], kv_tokens: int) -> str | None:
    tokens = longest(calls, job.llm)
    if tokens > job.llm.max_context:
        raise BadInput(
            f"the traces hold a call of {tokens} tokens to {job.llm.name!r}, whose max_context is "
            f"{job.llm.max_context}; raise it in the LLM file"
        )
    if tokens + BLOCK_TOKENS > kv_tokens:
        return f"{job}: its KV cache holds {max(0, kv_tokens)} tokens; a traced call has {tokens}"
    return None
