"""Is each LLM's share of a run's LLM time steadier than the run's time itself? (pure)

That it is, is the premise on which aggregates are planned with (arXiv 2604.15186). Here it is
tested on the traces at hand.
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
"""Half-width of the interval that is asked for, relative to the mean share."""
FEWEST = 8
"""Runs below which no CV is worth comparing: its own error is then above a quarter of it."""
DATED = 1e8
"""Unix seconds (1973). Starts before it are no dates but count from each run's beginning."""
_Z95 = NormalDist().inv_cdf(0.975)
_Z99 = NormalDist().inv_cdf(0.995)


class ShareStability(Record, frozen=True, kw_only=True):
    """How steady one LLM's share of the runs' LLM time is.

    Attributes:
        share: over runs; a run without a call of the LLM counts as 0.
        interval: half-width of the 95% interval of the mean share; None below two runs.
        more_runs: runs to add until that half-width is `PRECISION` of the mean, if the runs to come
            vary as these do; None below two runs.
        drift: Spearman's rank correlation of the share with the run's place in time; None where
            the runs' order in time is not told, or nothing varies.
    """

    llm: str
    share: Spread
    interval: float | None
    more_runs: int | None
    drift: float | None


class Stability(Record, frozen=True, kw_only=True):
    """The premise, tested on one workflow.

    Attributes:
        runs: successful ones whose calls all tell their duration. untimed: those that do not.
        latency: seconds, of the whole run.
        llm_time: seconds, sum of a run's call durations. shares: by LLM, the largest first.
        warnings: sentences on where the premise fails, or cannot be tested.
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
    """One per workflow, by name. `label` says whose time a call's duration is: its LLM's, unless
    roles are to stand in for LLMs.
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
            warnings=("no successful run tells how long its calls took: shares are unknown",),
        )
    latency = spread([trace.latency for trace, _ in timed])
    totals = [sum(spent.values()) for _, spent in timed]
    starts = [trace.start if trace.start > DATED else 0.0 for trace, _ in timed]
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
        yield "it calls one LLM, whose share is 1 whatever happens: there is nothing to test"
        return
    if runs < FEWEST:
        yield f"{runs} runs are too few to compare spreads: trace at least {FEWEST}"
        return
    loose = [one for one in shares if one.share.cv >= total.cv]
    if loose:
        yield (
            f"the shares of {', '.join(f'{one.llm} (CV {one.share.cv:.2f})' for one in loose)} are "
            f"no steadier than the LLM time of a run (CV {total.cv:.2f}): for them, planning with "
            "mean shares is no surer than planning with mean times"
        )
    for one in shares:
        if one.drift is not None and abs(one.drift) * math.sqrt(runs - 1) > _Z99:
            way = "rises" if one.drift > 0 else "falls"
            yield (
                f"the share of {one.llm} {way} over time (rank correlation {one.drift:+.2f}): "
                "old runs are no sample of new ones; trace again"
            )
    wanting = [one for one in shares if one.more_runs]
    if wanting:
        most = max(wanting, key=lambda one: one.more_runs or 0)
        yield (
            f"{runs} runs are too few to know {len(wanting)} of {len(shares)} mean shares to "
            f"+-{PRECISION:.0%}: {wanting[0].llm} needs {wanting[0].more_runs} more"
            + (f", {most.llm} {most.more_runs}" if most is not wanting[0] else "")
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
