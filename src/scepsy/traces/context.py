"""Calls that are longer than the context of their LLM (pure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from scepsy.core.llm import LlmSpec
from scepsy.core.trace import Call, Trace
from scepsy.errors import BadInput


@dataclass(frozen=True, slots=True)
class LongCalls:
    """The calls of one LLM in one workflow that are longer than it takes.

    Attributes:
        limit: prompt and output tokens that the LLM takes together.
        calls, of_calls: number of longer calls, and of all calls to the LLM.
        longest: tokens of the longest.
        runs, of_runs: number of runs with longer calls, and of all runs of the workflow.
        fewer_tokens: relative reduction of the mean tokens of a run if those runs are left out;
            None if no run is left.
    """

    llm: str
    workflow: str
    limit: int
    calls: int
    of_calls: int
    longest: int
    runs: int
    of_runs: int
    fewer_tokens: float | None

    def __str__(self) -> str:
        without = "no run is left without them"
        if self.fewer_tokens is not None:
            change = "fewer" if self.fewer_tokens >= 0 else "more"
            without = (
                f"a plan without these runs would be for runs with {abs(self.fewer_tokens):.0%} "
                f"{change} tokens"
            )
        return (
            f"{self.calls} of {self.of_calls} calls of {self.llm!r} in {self.workflow!r} are "
            f"longer than the {self.limit} tokens that it takes (the longest: {self.longest}); "
            f"they are in {self.runs} of {self.of_runs} runs, and {without}"
        )


def context_limits(llms: Iterable[LlmSpec]) -> dict[str, int]:
    """By LLM that is not at an endpoint: the tokens that it takes."""
    return {llm.name: llm.max_context for llm in llms if not llm.hosted}


def call_tokens(call: Call) -> int:
    """Prompt and output of a call, or of one of its items, as far as they are known."""
    return -(-(call.prompt_tokens or 0) // call.items) + (call.output_tokens or 0)


def long_calls(traces: Iterable[Trace], limits: Mapping[str, int]) -> list[LongCalls]:
    """By workflow and LLM, over successful runs. `limits`: tokens that an LLM takes; one that is
    not named takes any.
    """
    by_workflow: defaultdict[str, list[Trace]] = defaultdict(list)
    for trace in traces:
        if trace.ok:
            by_workflow[trace.workflow].append(trace)
    found: list[LongCalls] = []
    for workflow, runs in sorted(by_workflow.items()):
        for llm in sorted({call.llm for run in runs for call in run.calls} & set(limits)):
            found += _of(llm, workflow, limits[llm], runs)
    return found


def refuse_long_calls(traces: Iterable[Trace], limits: Mapping[str, int], fix: str) -> None:
    """Raises BadInput that names all of them together, and ends in `fix`: what to do."""
    found = long_calls(traces, limits)
    if found:
        raise BadInput(f"{'; '.join(map(str, found))}: {fix}")


def within_context(traces: Iterable[Trace], limits: Mapping[str, int]) -> list[Trace]:
    """The runs without longer calls."""
    return [trace for trace in traces if not any(_longer(call, limits) for call in trace.calls)]


def _of(llm: str, workflow: str, limit: int, runs: Sequence[Trace]) -> list[LongCalls]:
    limits = {llm: limit}
    calls = [call for run in runs for call in run.calls if call.llm == llm and call.ok]
    longer = [call for call in calls if _longer(call, limits)]
    if not longer:
        return []
    left = within_context(runs, limits)
    tokens = fmean(map(_run_tokens, runs))
    return [
        LongCalls(
            llm=llm,
            workflow=workflow,
            limit=limit,
            calls=len(longer),
            of_calls=len(calls),
            longest=max(map(call_tokens, longer)),
            runs=len(runs) - len(left),
            of_runs=len(runs),
            fewer_tokens=1 - fmean(map(_run_tokens, left)) / tokens if left else None,
        )
    ]


def _longer(call: Call, limits: Mapping[str, int]) -> bool:
    return call.ok and call_tokens(call) > limits.get(call.llm, call_tokens(call))


def _run_tokens(run: Trace) -> int:
    return sum((call.prompt_tokens or 0) + (call.output_tokens or 0) for call in run.calls)
