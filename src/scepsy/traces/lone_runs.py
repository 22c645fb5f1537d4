"""Whole runs among calls that belong to none: told apart where they stand alone (pure)."""

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
    """Whole runs that stand alone: where no call is under way, one begins with a stage with which
    the known ones begin, and before the next begins every stage that they call equally often has
    been called just as often, and no other workflow's was. Two runs at once never look like that,
    and what follows them is lost until a pause longer than any within a known run.
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
            strange = all(stages[one.call] is None for one in part)
            if whole is not None or strange or call.start - reach > pause:
                part = []
        part.append(call)
        reach = max(reach, call.end)
    whole = _whole(part, templates, stages)
    if whole is not None:
        yield whole


def longest_pause(trace: Trace) -> float:
    """Seconds of a run without a call under way, at most."""
    longest, reach = 0.0, trace.calls[0].start
    for call in trace.calls:
        longest = max(longest, call.start - reach)
        reach = max(reach, call.end)
    return longest


def _whole(
    calls: Sequence[Call], templates: Templates, stages: Mapping[str, TemplateStage | None]
) -> Trace | None:
    """These calls as one run, if they can be nothing else."""
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
