"""How many calls of a run are open at once (pure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from scepsy.curves.rounds import Sample


def parallelism(samples: Iterable[Sample]) -> float:
    """Mean number of calls of a run that are open at once, while any of them is: the seconds of all
    calls over the seconds in which their runs had at least one open, as `LlmDemand.parallelism` of
    traced runs. 1 without calls.
    """
    by_run: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
    for sample in samples:
        by_run[sample.unit].append((sample.sent, sample.sent + sample.latency))
    worked = covered = 0.0
    for calls in by_run.values():
        reach = float("-inf")
        for start, end in sorted(calls):
            worked += end - start
            covered += max(0.0, end - max(start, reach))
            reach = max(reach, end)
    return worked / covered if covered else 1.0
