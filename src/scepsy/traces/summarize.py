"""Summarises traces as demand: the calls of each workflow to each LLM, with mean and spread."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import fmean, pstdev

from scepsy.core.demand import Demand, LlmDemand, Spread
from scepsy.core.trace import Call, Trace
from scepsy.errors import BadInput
from scepsy.statistics.quantiles import quantiles
from scepsy.traces.lengths import known_tokens


def summarize(traces: Sequence[Trace]) -> tuple[Demand, ...]:
    """One Demand per workflow, in the order of their names.

    Failed runs and failed calls are left out, because they did not do all of their work. Imported
    runs with calls of unknown duration count for the number of calls and tokens, but not for times.
    Times are 0 where no run has the durations of all calls.

    Raises:
        BadInput: a workflow has no successful run with a successful call.
    """
    ordered = sorted(traces, key=lambda trace: trace.workflow)
    return tuple(
        _demand(name, tuple(group))
        for name, group in groupby(ordered, key=lambda trace: trace.workflow)
    )


def union_length(intervals: Iterable[tuple[float, float]]) -> float:
    """The total length of the union of intervals, in the unit of their ends."""
    total, reach = 0.0, -math.inf
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reach))
        reach = max(reach, end)
    return total


def spread(values: Sequence[float]) -> Spread:
    """Mean, coefficient of variation (0 for a mean of 0) and quantiles of at least one value."""
    mean = fmean(values)
    p10, p50, p90 = quantiles(values, (0.1, 0.5, 0.9))
    return Spread(mean=mean, cv=pstdev(values) / mean if mean else 0.0, p10=p10, p50=p50, p90=p90)


def _demand(workflow: str, traces: Sequence[Trace]) -> Demand:
    runs = [
        (trace, good)
        for trace in traces
        if trace.ok and (good := [call for call in trace.calls if call.ok])
    ]
    if not runs:
        raise BadInput(
            f"workflow {workflow!r}: none of its {len(traces)} runs succeeded with an LLM call; "
            "trace some that do"
        )
    names = sorted({call.llm for _, calls in runs for call in calls})
    timed = [run for run in runs if all(call.timed for call in run[1])] or runs
    llms = tuple(
        _llm_demand(name, [calls for _, calls in runs], [calls for _, calls in timed])
        for name in names
    )
    latency = spread([trace.latency for trace, _ in timed])
    return Demand(
        workflow=workflow,
        runs=len(runs),
        latency=latency,
        other_time=latency.mean - sum(llm.busy for llm in llms),
        llms=llms,
    )


def _llm_demand(
    llm: str, runs: Sequence[Sequence[Call]], timed: Sequence[Sequence[Call]]
) -> LlmDemand:
    """The calls per run n and the parallelism p of one LLM (arXiv 2604.15186, section on
    aggregation).

    p is the mean parallelism of the runs, weighted by the time that each spends in the LLM. Then
    n * duration / p is exactly the traced mean busy time, so that the stage of the pipeline
    reproduces the traces.
    """
    calls = [call for run in runs for call in run if call.llm == llm]
    per_run = [[call for call in run if call.llm == llm] for run in timed]
    count = sum(map(len, per_run))
    worked = sum(call.duration for chosen in per_run for call in chosen)
    covered = sum(union_length((call.start, call.end) for call in chosen) for chosen in per_run)
    shares = [
        sum(call.duration for call in chosen) / whole
        for chosen, every in zip(per_run, timed, strict=True)
        if (whole := sum(call.duration for call in every)) > 0
    ]
    parallelism = worked / covered if covered > 0 else 1.0
    duration = worked / count if count else 0.0
    return LlmDemand(
        llm=llm,
        calls=len(calls) / len(runs),
        parallelism=parallelism,
        busy=len(calls) / len(runs) * duration / parallelism,
        duration=duration,
        time_share=spread(shares or [0.0]),
        prompt_tokens=_known_mean(known_tokens(call, "prompt_tokens") for call in calls),
        cached_tokens=_known_mean(call.cached_tokens for call in calls),
        output_tokens=_known_mean(known_tokens(call, "output_tokens") for call in calls),
    )


def _known_mean(values: Iterable[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
