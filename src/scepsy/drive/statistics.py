"""From the outcomes of runs to their throughput and latency.

Throughput is counted: successful runs that ended in the window, whenever they arrived, over its
length. Whether the offered rate is *sustained* is another question, that of latency which keeps
growing, and `scepsy.traces.latency_trend` answers it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from scepsy.drive.result import RunOutcome, WorkflowMeasurement
from scepsy.statistics.quantiles import p99, quantile
from scepsy.traces.latency_trend import (
    counted_rate,
    latency_growth,
    load_verdict,
    standard_error,
)


def measure(
    workflow: str,
    runs: Sequence[RunOutcome],
    duration: float,
    earlier_ends: Iterable[float] = (),
    unfinished: int = 0,
) -> WorkflowMeasurement:
    """What the runs that arrived in [0, duration) show, in any order. `duration` is in seconds; it
    may be zero, and there may be no run.

    `earlier_ends` are the times, in seconds since the window began, at which successful runs ended
    that had arrived before it: they count in the throughput. `unfinished` is the number of runs
    that arrived in the window and were interrupted.
    """
    ordered = tuple(sorted(runs, key=lambda run: run.arrival))
    done = [run for run in ordered if run.ok]
    ranked = sorted(run.latency for run in done)
    ends = [*earlier_ends, *(run.arrival + run.latency for run in done)]
    counted = counted_rate(ends, 0.0, duration)
    return WorkflowMeasurement(
        workflow=workflow,
        offered=len(ordered) + unfinished,
        offered_rate=(len(ordered) + unfinished) / duration if duration > 0 else 0.0,
        completed=len(done),
        failed=len(ordered) - len(done),
        throughput=counted.per_second,
        throughput_low=counted.low,
        throughput_high=counted.high,
        verdict=load_verdict(done),
        latency_mean=fmean(ranked) if ranked else None,
        latency_p50=quantile(ranked, 0.5) if ranked else None,
        latency_p90=quantile(ranked, 0.9) if ranked else None,
        latency_p99=p99(ranked),
        latency_growth=latency_growth(done),
        standard_error=standard_error(done),
        runs=ordered,
        unfinished=unfinished,
    )
