"""Finds whole runs among calls without a run, where no other run overlaps them in time (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from scepsy.core.trace import Call, Trace
from scepsy.traces.templates import Templates, TemplateStage, confidence_of


def whole_runs(
    calls: Sequence[Call],
    templates: Templates,
    stages: Mapping[str, TemplateStage | None],
    pause: float,
) -> Iterator[Trace]:
    """Runs that overlap with no other run.

    Such a run begins while no call is in progress, with a stage with which known runs begin. Before
    the next one begins, every stage that the known runs call equally often has been called exactly
    as often, and no stage of another workflow was called. Two overlapping runs never satisfy this;
    after them, no run is found until a pause longer than `pause` seconds.
    """
    part: list[Call] = []
    reach = float("-inf")
    entries = frozenset[TemplateStage | None]().union(*templates.entries.values())
    for call in calls:
        if call.start >= reach:
            whole = None
            if stages[call.call] in entries or stages[call.call] is None:
                whole = _whole(part, templates, stages)
            if whole is not None:
                yield whole
            foreign = all(stages[one.call] is None for one in part)
            if whole is not None or foreign or call.start - reach > pause:
                part = []
        part.append(call)
        reach = max(reach, call.end)
    whole = _whole(part, templates, stages)
    if whole is not None:
        yield whole


def longest_pause(trace: Trace) -> float:
    """The longest time within the run, in seconds, in which no call was in progress."""
    longest, reach = 0.0, trace.calls[0].start
    for call in trace.calls:
        longest = max(longest, call.start - reach)
        reach = max(reach, call.end)
    return longest


def _whole(
    calls: Sequence[Call], templates: Templates, stages: Mapping[str, TemplateStage | None]
) -> Trace | None:
    """The calls as one run; None unless they satisfy the conditions of `whole_runs`."""
    if not calls:
        return None
    found = [stages[call.call] for call in calls]
    counts = Counter(stage for stage in found if stage is not None)
    owners = {None if stage is None else templates.owner(stage) for stage in found}
    workflow = next(iter(owners), None)
    if workflow is None or len(owners) > 1:
        return None
    fixed, entries = templates.fixed(workflow), templates.entries[workflow]
    if any(templates.owner(stage) is None for stage in templates.counts[workflow]):
        return None
    if found[0] not in entries or not entries <= set(fixed):
        return None
    if any(counts[stage] != often for stage, often in fixed.items()):
        return None
    run, confidence = f"template-{calls[0].call[:12]}", min(map(confidence_of, counts))
    return Trace(
        run=run,
        workflow=workflow,
        start=calls[0].start,
        end=max(call.end for call in calls),
        calls=tuple(_of_run(call, run, workflow, confidence) for call in calls),
    )


def _of_run(call: Call, run: str, workflow: str, confidence: float) -> Call:
    changed = {"run": run, "workflow": workflow, "layer": "template", "confidence": confidence}
    return msgspec.structs.replace(call, **changed)
