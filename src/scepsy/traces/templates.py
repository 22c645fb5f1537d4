"""The stages of workflows, learned from runs that are known: how the prompts of each begin (pure).

A template is what the prompts of several runs begin with; behind it come a run's own words. Calls
of one LLM whose prompts begin with the same template are calls of one stage.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scepsy.core.trace import OPENING_WORDS, Call, Trace

LEAST_WORDS = 3
"""Shorter templates, roles included, tell nothing."""
LONG_TEMPLATE = 8
"""Words from which a template is hardly met by chance."""
CONFIDENCE, CONFIDENCE_OF_SHORT = 0.5, 0.3
FEWEST_RUNS = 5
"""Known runs below which "so many in every run" may be chance."""


class TemplateStage(NamedTuple):
    """A stage: the LLM that it calls, how, and the hash of its template of so many words."""

    llm: str
    endpoint: str
    opening: str
    words: int


def confidence_of(stage: TemplateStage) -> float:
    """That a call is of the stage whose template it begins with."""
    return CONFIDENCE if stage.words >= LONG_TEMPLATE else CONFIDENCE_OF_SHORT


@dataclass(frozen=True, slots=True)
class Templates:
    """What was learned.

    Attributes:
        stages: every stage, with the workflows that have it.
        counts: by workflow and stage, how often each known run (in one order) called it.
        entries: by workflow, the stages that its runs began with; None is a call of no stage.
    """

    stages: Mapping[TemplateStage, frozenset[str]]
    counts: Mapping[str, Mapping[TemplateStage, tuple[int, ...]]]
    entries: Mapping[str, frozenset[TemplateStage | None]]

    def stage(self, call: Call) -> TemplateStage | None:
        """The stage whose template the call's prompt begins with."""
        return next((one for one in _nodes(call) if one in self.stages), None)

    def owner(self, stage: TemplateStage) -> str | None:
        """The one workflow that has the stage; None where several do."""
        owners = self.stages[stage]
        return next(iter(owners)) if len(owners) == 1 else None

    def fixed(self, workflow: str) -> dict[TemplateStage, int]:
        """The workflow's own stages that every known run calls equally often, with how often."""
        return {
            stage: per_run[0]
            for stage, per_run in self.counts.get(workflow, {}).items()
            if len(per_run) >= FEWEST_RUNS
            and len(set(per_run)) == 1
            and self.owner(stage) == workflow
        }


def learn(traces: Sequence[Trace]) -> Templates:
    """What successful runs that are surely known have in common.

    A template ends where most of the calls that begin with it go on in words that no other run has.
    So runs that ask the same question do not make the question a part of it, unless most do.
    """
    runs = [
        (
            trace.workflow,
            f"{trace.workflow}\0{trace.run}",
            [call for call in trace.calls if call.ok],
        )
        for trace in traces
        if trace.ok
    ]
    seen_in: defaultdict[TemplateStage, set[str]] = defaultdict(set)
    for _, run, calls in runs:
        for node in (node for call in calls for node in _nodes(call)):
            seen_in[node].add(run)
    passing, ending = Counter[TemplateStage](), Counter[TemplateStage]()
    ended_in: defaultdict[TemplateStage, set[str]] = defaultdict(set)
    for _, run, calls in runs:
        for call in calls:
            shared = [node for node in _nodes(call) if len(seen_in[node]) > 1]
            passing.update(shared)
            if shared:
                ending[shared[-1]] += 1
                ended_in[shared[-1]].add(run)
    found = {
        node
        for node, runs_of in ended_in.items()
        if len(runs_of) > 1 and 2 * ending[node] >= passing[node]
    }
    return _counted(found, runs)


def _counted(found: set[TemplateStage], runs: Iterable[tuple[str, str, list[Call]]]) -> Templates:
    owners: defaultdict[TemplateStage, set[str]] = defaultdict(set)
    called: defaultdict[str, list[Counter[TemplateStage]]] = defaultdict(list)
    entries: defaultdict[str, set[TemplateStage | None]] = defaultdict(set)
    for workflow, _, calls in runs:
        stages = [next((one for one in _nodes(call) if one in found), None) for call in calls]
        called[workflow].append(Counter(one for one in stages if one is not None))
        entries[workflow] |= set(stages[:1])
        for stage in filter(None, stages):
            owners[stage].add(workflow)
    return Templates(
        stages={stage: frozenset(names) for stage, names in owners.items()},
        counts={
            workflow: {
                stage: tuple(counts[stage] for counts in each)
                for stage in sorted(set[TemplateStage]().union(*each))
            }
            for workflow, each in called.items()
        },
        entries={workflow: frozenset(stages) for workflow, stages in entries.items()},
    )


def _nodes(call: Call) -> Iterator[TemplateStage]:
    """Every beginning of the prompt that may be a template, the shortest first."""
    for words, opening in zip(OPENING_WORDS, call.openings, strict=False):
        if words >= LEAST_WORDS:
            yield TemplateStage(call.llm, call.endpoint, opening, words)
