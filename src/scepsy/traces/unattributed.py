"""Calls that belong to no known run: what can be known of them all the same, by the templates of
runs that are known (pure). What cannot be known is refused, with the reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from scepsy.core.record import Record
from scepsy.core.trace import Call, Layer, Trace
from scepsy.traces.lone_runs import longest_pause, whole_runs
from scepsy.traces.templates import FEWEST_RUNS, Templates, TemplateStage, confidence_of, learn

SURE: tuple[Layer, ...] = ("header", "url", "baggage", "metadata", "auto", "session", "import")
"""Layers by which a run says itself what belongs to it."""
AGREEMENT = 0.1
"""Stages that are called equally often in every run must agree so well on how many runs there were,
relative to that, or to one run: some may have been cut off at either end.
"""

PATIENCE = 2.0
"""A pause that is so many times the longest of known runs is none within a run."""


class LlmTotal(Record, frozen=True, kw_only=True):
    """What a workflow's unattributed calls asked of one LLM.

    Attributes:
        calls: those whose stage could be told. n: calls per run; None where it cannot be known.
        duration: mean seconds of a call. time_share: its part of their whole LLM time.
    """

    llm: str
    calls: int
    n: float | None
    duration: float
    time_share: float


class Total(Record, frozen=True, kw_only=True):
    """What can be known of a workflow from calls that belong to no known run.

    In-run parallelism cannot: runs overlap.

    Attributes:
        learned_from: known runs. runs: how many the calls come from; None where it cannot be known.
        confidence: of stages, and of all that follows from them.
        refused: sentences on what cannot be known, and why.
    """

    workflow: str
    learned_from: int
    runs: float | None
    confidence: float
    llms: tuple[LlmTotal, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """Calls of no sure run, looked at.

    Attributes:
        totals: one per workflow that some of them are of, by name.
        runs: whole runs that templates told apart, calls with layer "template".
        left: how many calls are in no such run. notes: sentences on calls of no known workflow.
    """

    totals: tuple[Total, ...]
    runs: tuple[Trace, ...]
    left: int
    notes: tuple[str, ...]


def is_sure(trace: Trace) -> bool:
    """Whether a call of it said what run it is."""
    return any(call.layer in SURE for call in trace.calls)


def told(known: Sequence[Trace], calls: Sequence[Call]) -> Told:
    """What the templates of `known` runs say of calls of none."""
    templates = learn(known)
    good = sorted((call for call in calls if call.ok), key=lambda call: (call.start, call.end))
    stages = {call.call: templates.stage(call) for call in good}
    by_workflow: defaultdict[str, list[Call]] = defaultdict(list)
    shared, strange, untold = Counter[str](), Counter[str](), Counter[str]()
    for call in good:
        stage = stages[call.call]
        owner = None if stage is None else templates.owner(stage)
        if owner is not None:
            by_workflow[owner].append(call)
            continue
        untold[call.llm] += 1
        if stage is None:
            strange[call.llm] += 1
        else:
            shared[" and ".join(sorted(templates.stages[stage]))] += 1
    totals = tuple(
        _total(name, of, templates, stages, untold) for name, of in sorted(by_workflow.items())
    )
    pause = PATIENCE * max(map(longest_pause, known), default=0.0)
    runs = tuple(whole_runs(good, templates, stages, pause))
    left = len(good) - sum(len(run.calls) for run in runs)
    return Told(totals, runs, left, tuple(_notes(shared, strange)))


def _notes(shared: Counter[str], strange: Counter[str]) -> Iterator[str]:
    for names, count in sorted(shared.items()):
        yield f"{count} calls begin as stages of {names} do: whose they are cannot be told"
    if strange:
        of = ", ".join(f"{count} of {llm}" for llm, count in sorted(strange.items()))
        yield f"calls that begin as no known stage does: {of}"


def _total(
    workflow: str,
    calls: Sequence[Call],
    templates: Templates,
    stages: Mapping[str, TemplateStage | None],
    untold: Counter[str],
) -> Total:
    counts = Counter(stage for call in calls if (stage := stages[call.call]) is not None)
    runs, refused = _how_many(workflow, counts, templates)
    by_llm: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        by_llm[call.llm].append(call)
    whole = sum(call.duration for call in calls)
    for llm in sorted(by_llm):
        if runs is not None and untold[llm]:
            refused.append(f"n of {llm}: whose {untold[llm]} more of its calls are is not known")
    return Total(
        workflow=workflow,
        learned_from=_known_runs(workflow, templates),
        runs=runs,
        confidence=min(map(confidence_of, counts)),
        llms=tuple(
            LlmTotal(
                llm=llm,
                calls=len(of),
                n=None if runs is None or untold[llm] else len(of) / runs,
                duration=fmean(call.duration for call in of),
                time_share=sum(call.duration for call in of) / whole if whole else 0.0,
            )
            for llm, of in sorted(by_llm.items())
        ),
        refused=tuple(refused),
    )


def _how_many(
    workflow: str, counts: Counter[TemplateStage], templates: Templates
) -> tuple[float | None, list[str]]:
    """How many runs the calls come from, by the stages that every run calls equally often."""
    known, fixed = _known_runs(workflow, templates), templates.fixed(workflow)
    if known < FEWEST_RUNS:
        return None, [f"n: only {known} runs are known to learn from; {FEWEST_RUNS} are needed"]
    if not fixed:
        return None, ["n: no stage is called equally often in every known run"]
    seen = [counts[stage] / often for stage, often in fixed.items()]
    if max(seen) - min(seen) > max(1.0, AGREEMENT * max(seen)):
        return None, [
            f"n: stages that every known run calls equally often speak of {min(seen):g} to "
            f"{max(seen):g} runs"
        ]
    runs = sum(counts[stage] for stage in fixed) / sum(fixed.values())
    return runs or None, []


def _known_runs(workflow: str, templates: Templates) -> int:
    return max(map(len, templates.counts.get(workflow, {}).values()), default=0)
