"""Attributes calls of no known run to workflows, by the prompt templates of runs that are known
(pure). Figures that the calls do not determine are refused, with the reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from scepsy.core.record import Record
from scepsy.core.trace import Call, Layer, Trace
from scepsy.traces.lone_runs import longest_pause, whole_runs
from scepsy.traces.templates import RUNS_MIN, Templates, TemplateStage, confidence_of, learn

CERTAIN_LAYERS: tuple[Layer, ...] = (
    "header",
    "url",
    "baggage",
    "metadata",
    "auto",
    "session",
    "import",
)
"""Layers at which the caller itself states the run; all others infer it."""
RUN_COUNT_TOLERANCE = 0.1
"""Each stage that every run calls equally often gives an estimate of the number of runs. The
estimates may differ by this part of their largest, or by one run: runs may be cut off at the ends.
"""
PAUSE_FACTOR = 2.0
"""A gap longer than this many times the longest gap inside a known run separates two runs."""


class LlmTotal(Record, frozen=True, kw_only=True):
    """The unattributed calls of a workflow to one LLM.

    Attributes:
        calls: number of calls whose stage is known. n: calls per run; None where it is unknown.
        duration: mean seconds of a call. time_share: part of the LLM time of all these calls.
    """

    llm: str
    calls: int
    n: float | None
    duration: float
    time_share: float


class WorkflowTotal(Record, frozen=True, kw_only=True):
    """The unattributed calls of one workflow. In-run parallelism is unknown, because runs overlap.

    Attributes:
        learned_from: number of known runs that the templates come from.
        runs: number of runs that the calls come from; None where it is unknown.
        confidence: that the stages are right, and all figures that follow from them.
        refused: sentences on figures that are unknown, with the reason.
    """

    workflow: str
    learned_from: int
    runs: float | None
    confidence: float
    llms: tuple[LlmTotal, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attribution:
    """Workflows and runs of calls whose caller stated no run.

    Attributes:
        totals: one for each workflow that some of the calls belong to, by name.
        runs: whole runs that could be separated; their calls have the layer "template".
        left: number of calls in none of these runs.
        notes: sentences on calls whose workflow is unknown.
    """

    totals: tuple[WorkflowTotal, ...]
    runs: tuple[Trace, ...]
    left: int
    notes: tuple[str, ...]


def is_certain(trace: Trace) -> bool:
    """Whether a caller stated that its calls belong to this run."""
    return any(call.layer in CERTAIN_LAYERS for call in trace.calls)


def attribute(known: Sequence[Trace], calls: Sequence[Call]) -> Attribution:
    """Attributes `calls`, which belong to no known run, by the templates of the `known` runs."""
    templates = learn(known)
    good = sorted((call for call in calls if call.ok), key=lambda call: (call.start, call.end))
    stages = {call.call: templates.stage(call) for call in good}
    by_workflow: defaultdict[str, list[Call]] = defaultdict(list)
    shared, unknown, unattributed = Counter[str](), Counter[str](), Counter[str]()
    for call in good:
        stage = stages[call.call]
        owner = None if stage is None else templates.owner(stage)
        if owner is not None:
            by_workflow[owner].append(call)
            continue
        unattributed[call.llm] += 1
        if stage is None:
            unknown[call.llm] += 1
        else:
            shared[" and ".join(sorted(templates.stages[stage]))] += 1
    totals = tuple(
        _total(name, of, templates, stages, unattributed)
        for name, of in sorted(by_workflow.items())
    )
    pause = PAUSE_FACTOR * max(map(longest_pause, known), default=0.0)
    runs = tuple(whole_runs(good, templates, stages, pause))
    left = len(good) - sum(len(run.calls) for run in runs)
    return Attribution(totals, runs, left, tuple(_notes(shared, unknown)))


def _notes(shared: Counter[str], unknown: Counter[str]) -> Iterator[str]:
    for names, count in sorted(shared.items()):
        yield f"{count} calls begin like stages of {names}: their workflow is ambiguous"
    if unknown:
        of = ", ".join(f"{count} of {llm}" for llm, count in sorted(unknown.items()))
        yield f"calls that begin like no known stage: {of}"


def _total(
    workflow: str,
    calls: Sequence[Call],
    templates: Templates,
    stages: Mapping[str, TemplateStage | None],
    unattributed: Counter[str],
) -> WorkflowTotal:
    counts = Counter(stage for call in calls if (stage := stages[call.call]) is not None)
    runs, refused = _run_count(workflow, counts, templates)
    by_llm: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        by_llm[call.llm].append(call)
    whole = sum(call.duration for call in calls)
    for llm in sorted(by_llm):
        if runs is not None and unattributed[llm]:
            refused.append(
                f"n of {llm}: the workflow of {unattributed[llm]} of its calls is unknown"
            )
    return WorkflowTotal(
        workflow=workflow,
        learned_from=_known_runs(workflow, templates),
        runs=runs,
        confidence=min(map(confidence_of, counts)),
        llms=tuple(
            LlmTotal(
                llm=llm,
                calls=len(of),
                n=None if runs is None or unattributed[llm] else len(of) / runs,
                duration=fmean(call.duration for call in of),
                time_share=sum(call.duration for call in of) / whole if whole else 0.0,
            )
            for llm, of in sorted(by_llm.items())
        ),
        refused=tuple(refused),
    )


def _run_count(
    workflow: str, counts: Counter[TemplateStage], templates: Templates
) -> tuple[float | None, list[str]]:
    """The number of runs that the calls come from, by the stages that every run calls equally
    often; None with the reasons where it is unknown.
    """
    known, fixed = _known_runs(workflow, templates), templates.fixed(workflow)
    if known < RUNS_MIN:
        return None, [f"n: only {known} runs are known to learn from; {RUNS_MIN} are needed"]
    if not fixed:
        return None, ["n: no stage is called equally often in every known run"]
    seen = [counts[stage] / often for stage, often in fixed.items()]
    if max(seen) - min(seen) > max(1.0, RUN_COUNT_TOLERANCE * max(seen)):
        return None, [
            f"n: the stages that every known run calls equally often indicate between "
            f"{min(seen):g} and {max(seen):g} runs"
        ]
    runs = sum(counts[stage] for stage in fixed) / sum(fixed.values())
    return runs or None, []


def _known_runs(workflow: str, templates: Templates) -> int:
    return max(map(len, templates.counts.get(workflow, {}).values()), default=0)
