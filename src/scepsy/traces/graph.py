"""A recorded run -> its dependency graph, from the timestamps of its calls alone.

A call can only have waited for calls that had ended when it began. Without more information, it is
assumed to have waited for all of them. The calls of a run then form an interval order. Calls that
another predecessor had already waited for are not listed again: the direct predecessors are those
that ended after the latest start of a predecessor.

This joins two chains of calls that ran in parallel by chance: timestamps cannot separate them.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate

from scepsy.core.trace import Call, Trace


@dataclass(frozen=True, slots=True)
class Wait:
    """The wait for the end of all nodes in `after` (for the run's start if there are none), and
    then for `gap` seconds more: the client's own work, or a tool's.
    """

    after: tuple[int, ...]
    gap: float


@dataclass(frozen=True, slots=True)
class RunGraph:
    """The successful calls of a run in order of their start, with the wait of each; `end` is the
    wait before the run's own end.
    """

    workflow: str
    run: str
    calls: tuple[Call, ...]
    waits: tuple[Wait, ...]
    end: Wait


def graph_of(trace: Trace) -> RunGraph:
    """Rebuilds the graph. Replayed with the recorded durations, it gives the recorded times."""
    calls = tuple(
        sorted((call for call in trace.calls if call.ok), key=lambda call: (call.start, call.end))
    )
    by_end = sorted((call.end, index) for index, call in enumerate(calls))
    latest_start = list(accumulate((calls[index].start for _, index in by_end), max))
    sets: dict[tuple[int, int], tuple[int, ...]] = {}  # calls that begin together wait for one set

    def wait(start: float, before: int) -> Wait:
        """For those of the first `before` calls that had ended at `start`."""
        count = bisect_left(by_end, (start, before))
        if not count:
            return Wait((), max(0.0, start - trace.start))
        first = bisect_left(by_end, (latest_start[count - 1], 0))
        if (first, count) not in sets:
            sets[first, count] = tuple(index for _, index in by_end[first:count])
        return Wait(sets[first, count], start - by_end[count - 1][0])

    return RunGraph(
        workflow=trace.workflow,
        run=trace.run,
        calls=calls,
        waits=tuple(wait(call.start, index) for index, call in enumerate(calls)),
        end=wait(trace.end, len(calls)),
    )
