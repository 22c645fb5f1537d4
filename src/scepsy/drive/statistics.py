"""Outcomes of runs -> throughput and latency.

Throughput is not counted at the edges of the window: in a window of a minute with runs of ten
seconds, the runs that are open at its ends are a sixth of all. Instead: runs that arrive at rate
`a`, and whose latency grows by `g` seconds per second, leave at rate `a / (1 + g)`, since the runs
that arrive within dt leave within (1 + g) dt. In overload that is the rate at which the system
serves; below it, g = 0 and the runs leave as they come.

Whether latency grows is for `scepsy.traces.latency_trend` to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from scepsy.drive.result import RunOutcome, WorkflowMeasurement
from scepsy.statistics.quantiles import quantile
from scepsy.traces.latency_trend import latency_growth, standard_error


def measure(workflow: str, runs: Sequence[RunOutcome], duration: float) -> WorkflowMeasurement:
    """What the runs that arrived in [0, duration) show. At least one run; any order."""
    ordered = tuple(sorted(runs, key=lambda run: run.arrival))
    done = [run for run in ordered if run.ok]
    ranked = sorted(run.latency for run in done)
    growth = latency_growth(done)
    rate = len(ordered) / duration
    return WorkflowMeasurement(
        workflow=workflow,
        offered=len(ordered),
        offered_rate=rate,
        completed=len(done),
        failed=len(ordered) - len(done),
        throughput=rate / (1.0 + growth) * len(done) / len(ordered),
        completions_per_second=sum(run.arrival + run.latency <= duration for run in done)
        / duration,
        latency_mean=fmean(ranked) if ranked else None,
        latency_p50=quantile(ranked, 0.5) if ranked else None,
        latency_p90=quantile(ranked, 0.9) if ranked else None,
        latency_p99=quantile(ranked, 0.99) if ranked else None,
        latency_growth=growth,
        standard_error=standard_error(done),
        runs=ordered,
    )
