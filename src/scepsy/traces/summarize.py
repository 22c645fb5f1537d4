"""Traces -> Demand: a workflow's calls to each LLM, their mean and their spread."""

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
    """One Demand per workflow, by name.

    Failed runs and failed calls are left out, because they did not do all of their work. Imported
    runs that have calls of unknown duration count in n and tokens; times are those of the other
    runs, or 0 where there are none.

    Raises:
        BadInput: a workflow has no successful run with a successful call.
    """
    ordered = sorted(traces, key=lambda trace: trace.workflow)
    return tuple(
        _demand(name, tuple(group))
        for name, group in groupby(ordered, key=lambda trace: trace.workflow)
    )


def union_length(intervals: Iterable[tuple[float, float]]) -> float:
    """Measure of the union of intervals, in the unit of their ends."""
    total, reach = 0.0, -math.inf
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reach))
        reach = max(reach, end)
    return total


def spread(values: Sequence[float]) -> Spread:
    """Mean, coefficient of variation (0 where the mean is 0), quantiles of at least one value."""
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
    """The paper's n and p (arXiv 2604.15186, section on aggregation).

    p averages the runs' parallelism weighted by the time each spends in the LLM, so that n *
    duration / p is exactly the mean busy time that was traced: the pipeline's stage reproduces its
    own traces.
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
