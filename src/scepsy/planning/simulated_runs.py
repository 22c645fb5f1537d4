"""Which traced runs are simulated (pure)."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

from scepsy.core.llm import LlmSpec
from scepsy.core.trace import Trace
from scepsy.traces.context import context_limits, long_calls, within_context
from scepsy.traces.lengths import with_lengths


def usable_runs(traces: Sequence[Trace], llms: Sequence[LlmSpec]) -> tuple[list[Trace], list[str]]:
    """The runs without calls that are longer than their LLM takes, with missing token counts filled
    in; and a sentence about each change.
    """
    filled, notes = with_lengths(traces, llms, required=False)
    limits = context_limits(llms)
    notes += [f"{found}; the simulation leaves them out" for found in long_calls(filled, limits)]
    return within_context(filled, limits), notes


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
