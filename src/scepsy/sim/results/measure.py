"""The figures of a finished simulation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

from scepsy.core.plan import Plan
from scepsy.sim.cluster.simulation import ServedCall, ServedRun, Simulation
from scepsy.sim.results.records import (
    CallSpan,
    GpuResult,
    LatencyDistribution,
    LlmResult,
    SlowRun,
    WorkflowResult,
)
from scepsy.statistics.quantiles import p99, quantiles
from scepsy.traces.latency_trend import counted_rate, latency_growth, load_verdict

EDGE = 0.1
"""Fraction of the arrival period that is not measured at its beginning, while queues fill, and
again at its end, while they empty.
"""

PARTS = 120
"""Number of equal parts of the measured window for which utilisation is shown."""

SLOWEST = 10
"""Number of the slowest runs of each workflow whose calls are kept."""


def window(simulation: Simulation, warmup: float = EDGE) -> tuple[float, float]:
    """Begin and end of the measured window. `warmup` is the fraction of the arrival period before
    it.
    """
    last = max((run.arrival for run in simulation.runs), default=0.0)
    return warmup * last, (1 - EDGE) * last


def in_window(simulation: Simulation, warmup: float = EDGE) -> dict[str, list[ServedRun]]:
    """The runs that arrived in the window, by workflow, in their order. Of a workflow so rare that
    none did, all runs: it must not vanish from what is said of the load.
    """
    begin, end = window(simulation, warmup)
    every: defaultdict[str, list[ServedRun]] = defaultdict(list)
    for run in simulation.runs:
        every[run.workflow].append(run)
    return {
        name: [run for run in every[name] if begin <= run.arrival <= end] or every[name]
        for name in sorted(every)
    }


def workflow_results(simulation: Simulation) -> tuple[WorkflowResult, ...]:
    """One per workflow."""
    begin, end = window(simulation)
    runs = in_window(simulation)
    return tuple(_workflow(name, runs[name], simulation, begin, end) for name in runs)


def _workflow(
    name: str, runs: Sequence[ServedRun], simulation: Simulation, begin: float, end: float
) -> WorkflowResult:
    ends = (run.end for run in simulation.runs if run.workflow == name)
    completed = counted_rate(ends, begin, end)
    return WorkflowResult(
        workflow=name,
        runs=len(runs),
        offered_rate=len(runs) / (end - begin) if end > begin else 0.0,
        throughput=completed.per_second,
        throughput_low=completed.low,
        throughput_high=completed.high,
        latency=distribution([run.latency for run in runs]),
        latency_growth=latency_growth(runs),
        verdict=load_verdict(runs),
    )


def llm_results(simulation: Simulation) -> tuple[LlmResult, ...]:
    """One per LLM that was called, over all of its calls in the window."""
    begin, end = window(simulation)
    calls: defaultdict[str, list[ServedCall]] = defaultdict(list)
    for call in simulation.calls:
        if begin <= call.start <= end:
            calls[call.ask.llm].append(call)
    return tuple(
        LlmResult(
            llm=llm,
            calls=len(those),
            latency=distribution([call.latency for call in those]),
            first_token=distribution([call.first_token - call.start for call in those]),
            cached=sum(call.cached_tokens for call in those)
            / sum(call.ask.prompt_tokens for call in those),
            preemptions=sum(one.preemptions for one in simulation.llms[llm].replicas),
        )
        for llm, those in sorted(calls.items())
    )


def gpu_results(simulation: Simulation, plan: Plan) -> tuple[GpuResult, ...]:
    """One per GPU that has a replica."""
    begin, end = window(simulation)
    busy = {
        one.replica: _parts(one.busy, begin, end)
        for group in simulation.llms.values()
        for one in group.replicas
    }
    names: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    series: defaultdict[tuple[str, int], list[float]] = defaultdict(lambda: [0.0] * PARTS)
    for replica in plan.placement.replicas:
        for part in replica.slices:
            names[part.node, part.gpu].append(replica.replica)
            totals = series[part.node, part.gpu]
            for index, value in enumerate(busy[replica.replica]):
                totals[index] += part.gpu_share * value
    return tuple(
        GpuResult(
            node=node,
            gpu=gpu,
            replicas=tuple(names[node, gpu]),
            utilisation=fmean(series[node, gpu]),
            over_time=tuple(round(value, 4) for value in series[node, gpu]),
        )
        for node, gpu in sorted(names)
    )


def slowest_runs(simulation: Simulation) -> tuple[SlowRun, ...]:
    """The slowest runs of each workflow in the window, slowest first."""
    begin, end = window(simulation)
    by_workflow: defaultdict[str, list[int]] = defaultdict(list)
    for number, run in enumerate(simulation.runs):
        if begin <= run.arrival <= end:
            by_workflow[run.workflow].append(number)
    kept = [
        number
        for _, numbers in sorted(by_workflow.items())
        for number in sorted(numbers, key=lambda one: -simulation.runs[one].latency)[:SLOWEST]
    ]
    calls: dict[int, list[ServedCall]] = {number: [] for number in kept}
    for call in simulation.calls:
        if call.run in calls:
            calls[call.run].append(call)
    return tuple(_slow_run(simulation.runs[number], calls[number]) for number in kept)


def _slow_run(run: ServedRun, calls: Iterable[ServedCall]) -> SlowRun:
    return SlowRun(
        workflow=run.workflow,
        latency=run.latency,
        calls=tuple(
            CallSpan(
                llm=call.ask.llm,
                replica=call.replica,
                start=call.start - run.arrival,
                first_token=call.first_token - run.arrival,
                end=call.end - run.arrival,
            )
            for call in calls
        ),
    )


def distribution(values: Sequence[float]) -> LatencyDistribution:
    """The distribution of at least one value."""
    percentiles = quantiles(values, (percent / 100 for percent in range(101)))
    return LatencyDistribution(
        mean=fmean(values),
        p50=percentiles[50],
        p90=percentiles[90],
        p99=p99(values),
        percentiles=percentiles,
    )


def _parts(spans: Iterable[tuple[float, float]], begin: float, end: float) -> list[float]:
    """The fraction of each of `PARTS` equal parts of the window that the spans cover."""
    width = (end - begin) / PARTS
    covered = [0.0] * PARTS
    if width <= 0:
        return covered
    for start, stop in spans:
        first = max(0, int((start - begin) / width))
        for index in range(first, min(PARTS, int((stop - begin) / width) + 1)):
            left = begin + index * width
            covered[index] += max(0.0, min(stop, left + width) - max(start, left)) / width
    return covered
