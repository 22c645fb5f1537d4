"""Learns the stages of workflows from known runs, by how prompts begin (pure).

A template is a beginning that the prompts of several runs share; the words of the run follow it.
Calls to one LLM whose prompts begin with the same template are calls of one stage.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scepsy.core.trace import OPENING_WORDS, Call, Trace

TEMPLATE_WORDS_MIN = 3
"""Words, roles included. Unrelated prompts often share a shorter beginning."""
LONG_TEMPLATE_WORDS = 8
"""Words from which on a template is hardly shared by chance."""
CONFIDENCE_LONG = 0.5
"""That a call belongs to the stage of its template, if the template is long."""
CONFIDENCE_SHORT = 0.3
"""The same for shorter templates."""
RUNS_MIN = 5
"""Known runs; with fewer, an equal number of calls in every run may be chance."""


class TemplateStage(NamedTuple):
    """A stage: the LLM and endpoint that it calls, and the hash of its template with the number of
    words in it.
    """

    llm: str
    endpoint: str
    opening: str
    words: int


def confidence_of(stage: TemplateStage) -> float:
    """The probability that a call belongs to the stage whose template it begins with."""
    return CONFIDENCE_LONG if stage.words >= LONG_TEMPLATE_WORDS else CONFIDENCE_SHORT


@dataclass(frozen=True, slots=True)
class Templates:
    """The stages of known workflows.

    Attributes:
        stages: every stage, with the workflows that have it.
        counts: by workflow and stage, the number of calls in each known run, in the same order of
            runs for all stages.
        entries: by workflow, the stages of the first calls of its runs; None for a call that
            belongs to no stage.
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
        """The stages of this workflow alone that every known run calls equally often, with the
        number of calls.
        """
        return {
            stage: per_run[0]
            for stage, per_run in self.counts.get(workflow, {}).items()
            if len(per_run) >= RUNS_MIN and len(set(per_run)) == 1 and self.owner(stage) == workflow
        }


def learn(traces: Sequence[Trace]) -> Templates:
    """The stages of successful runs.

    A template ends where most of the calls that begin with it continue with words that no other run
    has. So a question that a few runs share does not become part of the template.
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
        if words >= TEMPLATE_WORDS_MIN:
            yield TemplateStage(call.llm, call.endpoint, opening, words)
