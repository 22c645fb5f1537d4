"""Curves of a replica that nobody has measured: the profiler's sweep in simulated time (pure)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, repeat
from statistics import fmean, pstdev

from scepsy.core.cluster import Cluster
from scepsy.core.profile import Curve, ProfilePoint, Quantiles
from scepsy.core.trace import Call, Trace
from scepsy.errors import BadInput
from scepsy.estimate.overheads import overheads
from scepsy.estimate.replay import APART, EngineModel, longest
from scepsy.estimate.steps import StepTimes
from scepsy.profiler.bursts import Burst, Stream, bursts_of, endless
from scepsy.profiler.jobs import Job
from scepsy.sim.kv import BLOCK_TOKENS, kv_capacity
from scepsy.sim.prefixes import Blocks, prompt_blocks
from scepsy.sim.simulation import ServedCall
from scepsy.summarize import quantile

UTILISATIONS = (0.2, 0.4, 0.6, 0.75, 0.85, 0.92)
IDLE_BURSTS = 60
CALLS = 600
"""To be served at each rate; the first quarter is warm-up."""
WARMUP = 0.25


def estimate(
    job: Job,
    traces: Sequence[Trace],
    cluster: Cluster,
    sources: Sequence[StepTimes],
    mix: Mapping[str, float] | None = None,
) -> list[Curve] | str:
    """A curve for each workflow of the job from the first source that has step times for it, or why
    there is none.

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
    engine = EngineModel(job.llm, timer, kv_tokens, overheads(job.llm.engine).step_tokens)
    swept = _Sweep(engine, stream, prompt_blocks(calls), str(job))
    total = swept.saturation()
    served = {0.0: swept.idle()} | {u: swept.open_loop(u * total) for u in UTILISATIONS}
    return [
        Curve(
            llm=job.llm.name,
            workflow=name,
            tp=job.tp,
            gpu_share=job.gpu_share,
            points=tuple(
                _point(u * top, own, steps.request(job.llm))
                for u, of in served.items()
                if (own := [call for call in of if call.workflow == name])
            ),
            max_throughput=top,
            mix=dict(rates),
            engine=f"{job.llm.engine} (estimated)",
            gpu_type=steps.gpu_type,
            source=steps.source,
            error=steps.error(job.llm),
        )
        for name, top in swept.throughputs(total, served[0.0]).items()
    ]


def _too_long(job: Job, calls: Sequence[Call], kv_tokens: int) -> str | None:
    tokens = longest(calls, job.llm)
    if tokens > job.llm.max_context:
        raise BadInput(
            f"the traces hold a call of {tokens} tokens to {job.llm.name!r}, whose max_context is "
            f"{job.llm.max_context}; raise it in the LLM file"
        )
    if tokens + BLOCK_TOKENS > kv_tokens:
        return f"{job}: its KV cache holds {max(0, kv_tokens)} tokens, a traced call has {tokens}"
    return None


class _Sweep:
    """Serves one stream at the rates asked for; every rate starts with a cold engine, and sees the
    same bursts in the same order.
    """

    def __init__(
        self, engine: EngineModel, stream: Stream, blocks: Mapping[str, Blocks], seed: str
    ) -> None:
        self._engine, self._stream, self._blocks, self._seed = engine, stream, blocks, seed

    def idle(self) -> list[ServedCall]:
        """One burst at a time, of each workflow alike."""
        rng = random.Random(self._seed)
        bursts = [
            burst
            for runs in self._stream.runs.values()
            for burst in islice(endless(runs, rng), IDLE_BURSTS)
        ]
        times = (APART * place for place in range(len(bursts)))
        return self._engine.serve(_at(times, bursts), self._blocks)

    def saturation(self) -> float:
        """Calls per second with everything waiting from the start, apart from first and last."""
        count = max(CALLS, 8 * self._engine.llm.max_sequences)
        bursts = self._bursts(round(count / self._stream.burst_size))
        ends = sorted(c.end for c in self._engine.serve(_at(repeat(0.0), bursts), self._blocks))
        first, last = len(ends) // 5, len(ends) * 4 // 5
        return (last - first) / max(ends[last] - ends[first], 1e-9)

    def open_loop(self, rate: float) -> list[ServedCall]:
        """Bursts arrive as a Poisson process given its count."""
        count = max(40, round(CALLS / self._stream.burst_size))
        seconds = count * self._stream.burst_size / rate
        rng = random.Random(f"{self._seed} arrivals")
        times = sorted(rng.uniform(0.0, seconds) for _ in range(count))
        served = self._engine.serve(_at(times, self._bursts(count)), self._blocks)
        return [call for call in served if call.start >= WARMUP * seconds]

    def throughputs(self, total: float, idle: Sequence[ServedCall]) -> dict[str, float]:
        """Calls per second at which each workflow alone would saturate an engine that saturates at
        `total` with the mixture; a call costs what it takes without load.
        """
        parts = self._stream.calls
        cost = {name: fmean(c.end - c.start for c in idle if c.workflow == name) for name in parts}
        mean = sum(parts[name] * cost[name] for name in parts)
        return {name: total * mean / cost[name] for name in parts}

    def _bursts(self, count: int) -> list[tuple[Burst, int]]:
        return list(islice(self._stream.bursts(random.Random(self._seed)), max(1, count)))


def _at(
    times: Iterable[float], bursts: Iterable[tuple[Burst, int]]
) -> Iterator[tuple[float, Burst, int]]:
    return ((time, *one) for time, one in zip(times, bursts, strict=False))


def _point(rate: float, served: Sequence[ServedCall], overhead: float) -> ProfilePoint:
    latency = sorted(call.end - call.start + overhead for call in served)
    first = sorted(_first(call) - call.start + overhead for call in served)
    tpot = sorted(
        (call.end - call.first_token) / (call.ask.output_tokens - 1)
        for call in served
        if call.ask.output_tokens > 1
    )
    return ProfilePoint(
        rate=rate,
        latency=fmean(latency),
        p50=quantile(latency, 0.5),
        p90=quantile(latency, 0.9),
        p99=quantile(latency, 0.99),
        ttft=fmean(first),
        tpot=fmean(tpot) if tpot else 0.0,
        samples=len(served),
        noise=pstdev(latency) / len(latency) ** 0.5,
        ttft_quantiles=_quantiles(first),
        tpot_quantiles=_quantiles(tpot) if tpot else None,
    )


def _first(call: ServedCall) -> float:
    return call.first_token if call.ask.output_tokens else call.end


def _quantiles(ranked: Sequence[float]) -> Quantiles:
    return Quantiles(
        p50=quantile(ranked, 0.5), p90=quantile(ranked, 0.9), p99=quantile(ranked, 0.99)
    )
