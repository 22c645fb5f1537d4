"""Whether a soak went well, from what callers, traces and processes say (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.soak.callers import Outcome
from experiments.soak.site import Usage
from experiments.soak.trouble import Incident

from scepsy.core.trace import Call

CUT_WITHIN = 12.0
"""Seconds after an incident began in which it may cut an answer that had begun: as long as a hung
replica takes to be found, and a margin.
"""

GROWTH_MAX_MB = 10.0
"""Growth of a gateway's resident memory that counts as flat: caches of fixed size fill up."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a soak leaves.

    Attributes:
        recorded: all recorded calls, of all gateways.
        fresh: usage of each gateway's process before its first call.
        settled: usage when gateways were left alone.
        last: usage after the last call, when all callers had gone.
        busy_engines: sequences that engines still had then.
    """

    outcomes: Sequence[Outcome]
    recorded: Sequence[Call]
    incidents: Sequence[Incident]
    fresh: Mapping[str, Usage]
    settled: Mapping[str, Usage]
    last: Mapping[str, Usage]
    busy_engines: float


def problems(evidence: Evidence) -> list[str]:
    """What should not have been; empty if the soak went well."""
    found = [f"lost: {one.id} ({one.kind}): {one.why}" for one in lost(evidence)]
    found += [f"doubled: {one}" for one in doubled(evidence)]
    found += [f"cut without a cause: {one.id}: {one.why}" for one in unexplained(evidence)]
    found += [f"not recorded: {one.id}" for one in unrecorded(evidence)]
    for name, usage in evidence.last.items():
        fresh, settled = evidence.fresh[name], evidence.settled[name]
        if usage.in_flight:
            found.append(f"{name}: {usage.in_flight} calls are in flight after the end")
        if usage.sockets > fresh.sockets:
            found.append(f"{name}: {usage.sockets} sockets, {fresh.sockets} at the start")
        if usage.descriptors > fresh.descriptors + 2:  # a trace file, and its directory
            found.append(f"{name}: {usage.descriptors} descriptors, {fresh.descriptors} at first")
        if usage.rss_mb > settled.rss_mb + GROWTH_MAX_MB:
            found.append(f"{name}: {settled.rss_mb:.0f} MB grew to {usage.rss_mb:.0f} MB")
    if evidence.busy_engines:
        found.append(f"engines have {evidence.busy_engines:.0f} sequences after the end")
    return found


def lost(evidence: Evidence) -> list[Outcome]:
    """Calls that a gateway and a replica could have served, and odd answers to nonsense."""
    return [one for one in evidence.outcomes if one.ending == "lost"]


def doubled(evidence: Evidence) -> list[str]:
    """Calls that replicas have answered to the end more than once."""
    done = Counter(one.run for one in evidence.recorded if one.ok)
    return [run for run, times in done.items() if times > 1]


def unexplained(evidence: Evidence) -> list[Outcome]:
    """Answers that were cut while nothing went wrong."""
    return [
        one
        for one in evidence.outcomes
        if one.ending == "cut"
        and not any(
            each.began <= one.ended <= each.began + CUT_WITHIN for each in evidence.incidents
        )
    ]


def unrecorded(evidence: Evidence) -> list[Outcome]:
    """Answered calls without a record, except for those that ended just before their gateway was
    killed: records are written in batches.
    """
    known = {one.run for one in evidence.recorded}
    killed = [one for one in evidence.incidents if one.what == "kill gateway"]
    return [
        one
        for one in evidence.outcomes
        if one.ending == "ok"
        and one.id not in known
        and not any(
            one.gateway == each.who and each.began - 1 < one.ended < each.ended for each in killed
        )
    ]
