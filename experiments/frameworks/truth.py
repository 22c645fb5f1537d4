"""Compares what the gateway made of calls with what is true of them: a pure function.

Every run carries a word of its own in all its prompts, which nobody but this reads.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from scepsy.core.record import Record
from scepsy.core.trace import Call, Layer, Trace
from scepsy.traces.summarize import summarize

EXACT = 1e-9


class Row(Record, frozen=True, kw_only=True):
    """One way of running one framework's program.

    Attributes:
        mode: as `host.py` calls it. layer: what decided, where one did for all, else the commonest.
        layers: calls by the layer that decided.
        concurrent_runs: runs that were started at once.
        runs: how many runs the gateway saw.
        calls: successful ones. attributed: with a run. misattributed: with another run's.
        n_exact, p_exact: whether calls per run and in-run parallelism of every LLM are the true
            ones.
        n, p: the true ones, by LLM.
    """

    framework: str
    version: str
    mode: str
    layer: Layer
    layers: dict[Layer, int]
    concurrent_runs: int
    runs: int
    calls: int
    attributed: int
    misattributed: int
    n_exact: bool
    p_exact: bool
    n: dict[str, float]
    p: dict[str, float]


class Untold(Exception):
    """A call that carries no run's word, or several."""


def judge(
    framework: str, version: str, mode: str, words: Sequence[str], calls: Sequence[Call]
) -> Row:
    """`calls` have their requests recorded. Raises Untold where the truth cannot be told."""
    good = [call for call in calls if call.ok]
    truth = {call.call: _word(call, words) for call in good}
    known = [call for call in good if call.layer != "none"]
    owners = _owners(known, truth)
    layers = Counter(call.layer for call in good)
    true_demand = _demand((truth[call.call], call) for call in good)
    seen_demand = _demand((call.run, call) for call in known)
    return Row(
        framework=framework,
        version=version,
        mode=mode,
        layer=layers.most_common(1)[0][0],
        layers=dict(layers),
        concurrent_runs=len(words),
        runs=len({call.run for call in known}),
        calls=len(good),
        attributed=len(known),
        misattributed=sum(owners[call.run] != truth[call.call] for call in known),
        n_exact=_close(true_demand[0], seen_demand[0]),
        p_exact=_close(true_demand[1], seen_demand[1]),
        n=true_demand[0],
        p=true_demand[1],
    )


def _word(call: Call, words: Sequence[str]) -> str:
    found = [word for word in words if word in (call.request or "")]
    if len(found) != 1:
        raise Untold(f"a prompt carries {found or 'no run'}: {(call.request or '')[:600]}")
    return found[0]


def _owners(calls: Iterable[Call], truth: Mapping[str, str]) -> dict[str, str]:
    """For each run that the gateway saw, the true run of most of its calls."""
    votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for call in calls:
        votes[call.run][truth[call.call]] += 1
    return {run: counted.most_common(1)[0][0] for run, counted in votes.items()}


def _demand(calls: Iterable[tuple[str, Call]]) -> tuple[dict[str, float], dict[str, float]]:
    """n and p by LLM of these calls, each given with its run."""
    runs: defaultdict[str, list[Call]] = defaultdict(list)
    for run, call in calls:
        runs[run].append(call)
    if not runs:
        return {}, {}
    traces = [
        Trace(
            run=run,
            workflow="w",
            start=min(call.start for call in members),
            end=max(call.end for call in members),
            calls=tuple(members),
        )
        for run, members in runs.items()
    ]
    [demand] = summarize(traces)
    calls_per_run = {llm.llm: llm.calls for llm in demand.llms}
    return calls_per_run, {llm.llm: llm.parallelism for llm in demand.llms}


def _close(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    same = one.keys() == other.keys()
    return same and all(abs(one[llm] - other[llm]) <= EXACT * one[llm] for llm in one)
