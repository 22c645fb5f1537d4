"""A deployment in the middle of a change, as far as waves need to know it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scepsy.deploy.changes.duration import lack_seconds
from scepsy.deploy.changes.ledger import Ledger, Part, parts_held, parts_of
from scepsy.deploy.changes.limits import Limits
from scepsy.deploy.changes.matching import Matched
from scepsy.deploy.changes.observed import GpuId, ObservedReplica
from scepsy.deploy.changes.order import Balance, Order, Step, ordered


@dataclass(frozen=True, slots=True)
class Section:
    """Replicas that have nothing to do with those of other sections: neither LLM nor GPU is shared.

    Attributes:
        order: the order in which they start and leave.
        balance: what is held and served before the first step, once all that has failed or been
            drained is gone and all that stays serves.
        leaves: every replica that serves and has to go, whether or not `order` needs its room.
        settled: whether everything that stays serves already.
        starting: whether a replica that stays is starting.
        lasts: by LLM that falls below its floor, for how many seconds; None where that is unknown.
    """

    order: Order
    balance: Balance
    leaves: tuple[Step, ...]
    settled: bool
    starting: bool
    lasts: Mapping[str, float | None]


def sections(match: Matched, limits: Limits, start_seconds: Mapping[str, float]) -> list[Section]:
    """The sections of a change, each with its order. `start_seconds` are by LLM."""
    steps = [*_starts(match, limits), *_leaves(match, limits)]
    found: list[Section] = []
    for group in _connected(steps, match.keep):
        mine = [step for step in steps if step.name in group]
        keep = [one for one in match.keep if one.name in group]
        leaves = [step for step in mine if not step.starts]
        balance = _balance(keep, leaves, limits)
        order = ordered(balance, [step for step in mine if step.starts], leaves)
        found.append(
            Section(
                order=order,
                balance=balance,
                leaves=tuple(leaves),
                settled=all(one.serves for one in keep),
                starting=any(one.state == "starting" for one in keep),
                lasts=lack_seconds(balance, order.steps, start_seconds) if order.dips else {},
            )
        )
    return found


def _starts(match: Matched, limits: Limits) -> list[Step]:
    """The starts, and the sleeping replicas that have to wake."""
    new = [(one.replica, parts_of(one.replica)) for one in match.start]
    asleep = [(one.replica, _to_wake(one)) for one in match.keep if one.state == "sleeping"]
    given_by = limits.capacity.given_by
    return [
        Step(replica.replica, replica.llm, parts, given_by(replica), starts=True)
        for replica, parts in (*new, *asleep)
    ]


def _to_wake(one: ObservedReplica) -> tuple[Part, ...]:
    """What a sleeping replica needs beyond what it holds."""
    pairs = zip(parts_of(one.replica), parts_held(one), strict=True)
    return tuple(
        Part(all_.gpu, all_.compute - held.compute, all_.memory - held.memory)
        for all_, held in pairs
    )


def _leaves(match: Matched, limits: Limits) -> list[Step]:
    """The replicas that have to go and serve until then."""
    return [
        Step(
            one.name,
            one.replica.llm,
            parts_of(one.replica),
            limits.capacity.given_by(one.replica),
            starts=False,
        )
        for one in match.leave
        if one.serves
    ]


def _balance(keep: Iterable[ObservedReplica], leaves: Iterable[Step], limits: Limits) -> Balance:
    ledger = Ledger(limits.gpus)
    serving: defaultdict[str, float] = defaultdict(float)
    for one in keep:
        ledger.take(parts_held(one))
        if one.state != "sleeping":
            serving[one.replica.llm] += limits.capacity.given_by(one.replica)
    for step in leaves:
        ledger.take(step.parts)
        serving[step.llm] += step.gives
    return Balance(ledger, serving, limits.capacity)


def _connected(steps: Sequence[Step], keep: Sequence[ObservedReplica]) -> list[set[str]]:
    """The names of replicas by section, for sections in which something starts or leaves."""
    root: dict[str | GpuId, str | GpuId] = {}

    def find(key: str | GpuId) -> str | GpuId:
        while root.setdefault(key, key) != key:
            root[key] = root[root[key]]
            key = root[key]
        return key

    held = [(step.name, step.llm, step.parts) for step in steps]
    held += [(one.name, one.replica.llm, parts_of(one.replica)) for one in keep]
    for _, llm, parts in held:
        for part in parts:
            root[find(part.gpu)] = find(llm)
    found: defaultdict[str | GpuId, set[str]] = defaultdict(set)
    for name, llm, _ in held:
        found[find(llm)].add(name)
    changing = {step.name for step in steps}
    return [names for names in found.values() if names & changing]
