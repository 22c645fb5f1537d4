"""Tests whether each LLM's share of a run's LLM time varies less than that time itself (pure).

Planning with mean shares assumes so (arXiv 2604.15186).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from statistics import NormalDist, fmean, stdev

from scepsy.core.demand import Spread
from scepsy.core.record import Record
from scepsy.core.trace import Call, Trace
from scepsy.traces.summarize import spread

PRECISION = 0.05
"""Half-width of the 95% interval of a mean share, relative to it, that traces should reach."""
RUNS_MIN_TO_COMPARE = 8
"""Runs. With fewer, the standard error of a CV is above a quarter of it."""
FIRST_DATE = 1e8
"""Unix seconds (1973). An earlier start is no date: it counts from each run's own beginning."""
_Z95 = NormalDist().inv_cdf(0.975)
"""Standard deviations to either side that hold 95% of a normal distribution."""
_Z99 = NormalDist().inv_cdf(0.995)
"""The same for 99%."""


class ShareStability(Record, frozen=True, kw_only=True):
    """The spread of one LLM's share of the runs' LLM time.

    Attributes:
        share: over runs; a run without a call of the LLM counts as 0.
        interval: half-width of the 95% interval of the mean share; None below two runs.
        more_runs: additional runs after which that half-width would be `PRECISION` of the mean, if
            they vary as these do; None below two runs.
        drift: Spearman's rank correlation of the share with the run's start; None where the traces
            have no dates, or nothing varies.
    """

    llm: str
    share: Spread
    interval: float | None
    more_runs: int | None
    drift: float | None


class Stability(Record, frozen=True, kw_only=True):
    """Shares of LLM time in one workflow.

    Attributes:
        runs: number of successful runs in which every call has a duration. untimed: number of other
            successful runs.
        latency: seconds of the whole run.
        llm_time: seconds, sum of a run's call durations. shares: by LLM, the largest first.
        warnings: sentences on shares that vary too much, or cannot be tested.
    """

    workflow: str
    runs: int
    untimed: int
    latency: Spread | None
    llm_time: Spread | None
    shares: tuple[ShareStability, ...]
    warnings: tuple[str, ...]


def _llm(call: Call) -> str:
    return call.llm


def stability(
    traces: Sequence[Trace], label: Callable[[Call], str] = _llm
) -> tuple[Stability, ...]:
    """One result for each workflow, by name. `label` gives the name under which a call's duration
    is counted: its LLM, unless shares of roles are wanted.
    """
    ordered = sorted(traces, key=lambda trace: (trace.workflow, trace.start, trace.run))
    grouped = groupby(ordered, key=lambda trace: trace.workflow)
    return tuple(_of(name, tuple(runs), label) for name, runs in grouped)


def _of(workflow: str, traces: Sequence[Trace], label: Callable[[Call], str]) -> Stability:
    good = [trace for trace in traces if trace.ok and any(call.ok for call in trace.calls)]
    timed = [
        (trace, _spent(trace, label))
        for trace in good
        if all(call.timed for call in trace.calls if call.ok)
    ]
    untimed = len(good) - len(timed)
    if not timed:
        return Stability(
            workflow=workflow,
            runs=0,
            untimed=untimed,
            latency=None,
            llm_time=None,
            shares=(),
            warnings=("no successful run has durations of all its calls: shares are unknown",),
        )
    latency = spread([trace.latency for trace, _ in timed])
    totals = [sum(spent.values()) for _, spent in timed]
    starts = [trace.start if trace.start > FIRST_DATE else 0.0 for trace, _ in timed]
    labels = {name for _, spent in timed for name in spent}
    shares = [
        _share(
            name,
            [spent.get(name, 0.0) / total for (_, spent), total in zip(timed, totals, strict=True)],
            starts,
        )
        for name in labels
    ]
    ranked = tuple(sorted(shares, key=lambda one: (-one.share.mean, one.llm)))
    total = spread(totals)
    return Stability(
        workflow=workflow,
        runs=len(timed),
        untimed=untimed,
        latency=latency,
        llm_time=total,
        shares=ranked,
        warnings=tuple(_warnings(ranked, total, len(timed))),
    )


def _share(llm: str, values: Sequence[float], starts: Sequence[float]) -> ShareStability:
    interval = more = None
    if len(values) > 1:
        error, mean = stdev(values), fmean(values)
        interval = _Z95 * error / math.sqrt(len(values))
        needed = math.ceil((_Z95 * error / (PRECISION * mean)) ** 2) if mean > 0 else 0
        more = max(0, needed - len(values))
    return ShareStability(
        llm=llm,
        share=spread(values),
        interval=interval,
        more_runs=more,
        drift=rank_correlation(starts, values),
    )


def _spent(trace: Trace, label: Callable[[Call], str]) -> dict[str, float]:
    spent: dict[str, float] = {}
    for call in trace.calls:
        if call.ok:
            spent[label(call)] = spent.get(label(call), 0.0) + call.duration
    return spent


def _warnings(shares: Sequence[ShareStability], total: Spread, runs: int) -> Iterator[str]:
    if len(shares) == 1:
        yield "it calls one LLM, whose share is always 1: there is nothing to test"
        return
    if runs < RUNS_MIN_TO_COMPARE:
        yield f"{runs} runs are too few to compare spreads: trace at least {RUNS_MIN_TO_COMPARE}"
        return
    variable = [one for one in shares if one.share.cv >= total.cv]
    if variable:
        names = ", ".join(f"{one.llm} (CV {one.share.cv:.2f})" for one in variable)
        yield (
            f"the shares of {names} vary as much as the LLM time of a run (CV {total.cv:.2f}): "
            "for these LLMs, a plan from mean shares is no more reliable than one from mean times"
        )
    for one in shares:
        if one.drift is not None and abs(one.drift) * math.sqrt(runs - 1) > _Z99:
            way = "rises" if one.drift > 0 else "falls"
            yield (
                f"the share of {one.llm} {way} over time (rank correlation {one.drift:+.2f}): "
                "old runs do not represent new ones; trace again"
            )
    imprecise = [one for one in shares if one.more_runs]
    if imprecise:
        worst = max(imprecise, key=lambda one: one.more_runs or 0)
        yield (
            f"{runs} runs are too few to know {len(imprecise)} of {len(shares)} mean shares to "
            f"+-{PRECISION:.0%}: {imprecise[0].llm} needs {imprecise[0].more_runs} more"
            + (f", {worst.llm} {worst.more_runs}" if worst is not imprecise[0] else "")
        )


def rank_correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman's: the correlation of ranks, equal values sharing theirs. None where either does not
    vary.
    """
    a, b = _ranks(left), _ranks(right)
    mean = (len(a) + 1) / 2
    over = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    under = math.sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))
    return over / under if under > 0 else None


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=lambda at: values[at])
    ranks = [0.0] * len(values)
    passed = 0
    for _, group in groupby(order, key=lambda at: values[at]):
        same = list(group)
        for at in same:
            ranks[at] = passed + (len(same) + 1) / 2
        passed += len(same)
    return ranks
