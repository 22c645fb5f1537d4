"""Which traced runs are simulated, where there are more than a simulation of bounded length takes
(pure).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

from scepsy.core.trace import Trace


def runs_to_simulate(traces: Sequence[Trace], runs: Mapping[str, int], seed: int) -> list[Trace]:
    """Of each workflow's successful runs at most `runs`, by workflow, spread evenly over all of
    them in the order of the time that they spend in LLMs (systematic sampling). So a few are like
    all of them in the mean. Workflows that are not named are left out.
    """
    rng = random.Random(seed)
    known: defaultdict[str, list[Trace]] = defaultdict(list)
    for trace in traces:
        if trace.ok and trace.workflow in runs:
            known[trace.workflow].append(trace)
    found: list[Trace] = []
    for workflow, own in sorted(known.items()):
        wanted = runs[workflow]
        if len(own) <= wanted:
            found += own
            continue
        ranked = sorted(own, key=_llm_seconds)
        step = len(ranked) / wanted
        start = rng.random() * step
        found += [ranked[int(start + index * step)] for index in range(wanted)]
    return found


def _llm_seconds(trace: Trace) -> float:
    return sum(call.duration for call in trace.calls if call.ok)
