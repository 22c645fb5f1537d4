"""The ordered way from the replicas that run to those of a plan (pure).

`next_wave` says what to do now, from what is observed now. It needs no memory of earlier waves, so
a change may be interrupted anywhere and taken up by anybody. `diff` predicts all waves by applying
each of them to the state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from scepsy.deploy.changes.actions import Changeover, Dip, Refusal, Wave
from scepsy.deploy.changes.ledger import Ledger, parts_of
from scepsy.deploy.changes.limits import Limits
from scepsy.deploy.changes.matching import Matched, matched
from scepsy.deploy.changes.observed import Observed, ObservedReplica, Wanted
from scepsy.deploy.changes.situation import Section, sections
from scepsy.deploy.changes.waves import starts_of, wave


def next_wave(
    wanted: Wanted, observed: Observed, limits: Limits, *, allow_dip: bool = False
) -> Wave | Refusal:
    """The actions that bring what is `observed` nearer to what is `wanted`, within the `limits`.

    A wave without actions says that everything is as it is wanted. A refusal says why that cannot
    be reached; without `allow_dip` also where the only way leads through too little capacity for
    the load.
    """
    newest = max((one.epoch for one in observed.replicas), default=0)
    if newest > wanted.epoch:
        return Refusal(
            f"plan {newest} of this deployment is newer than plan {wanted.epoch}, which is to be "
            "applied; read the deployment's state again and apply your plan on top of it"
        )
    match = matched(wanted, observed, limits)
    if (refusal := _does_not_fit(match, limits)) is not None:
        return refusal
    found = sections(match, limits, observed.start_seconds)
    dips = _dips(match, found)
    if dips and not allow_dip:
        return Refusal(
            "no order of starts and stops keeps the capacity that the load needs", dips=dips
        )
    return wave(wanted, observed, limits, match, found)


def diff(
    wanted: Wanted, observed: Observed, limits: Limits, *, allow_dip: bool = False
) -> Changeover:
    """All waves from what is `observed` to what is `wanted`, if every action succeeds. Ask this
    before the first wave: a refusal then comes before anything has been changed.

    `diff(x, x)` has no waves.
    """
    waves: list[Wave] = []
    for _ in range(_waves_max(wanted, observed)):
        step = next_wave(wanted, observed, limits, allow_dip=allow_dip)
        if isinstance(step, Refusal):
            return Changeover(refusal=step)
        if step.done:
            return Changeover(tuple(waves))
        waves.append(step)
        observed = after(observed, step, wanted.epoch)
    raise AssertionError(f"the waves do not end; the last one is {waves[-1]}")


def _waves_max(wanted: Wanted, observed: Observed) -> int:
    """More waves than any change has: nothing is started, routed to, drained or stopped twice."""
    return 2 + 4 * (len(wanted.replicas) + len(observed.replicas))


def after(observed: Observed, step: Wave, epoch: int) -> Observed:
    """The state after every action of a wave has succeeded."""
    now = {one.name: one for one in observed.replicas}
    for action in step.actions:
        name = action.replica.replica
        match action.kind:
            case "start":
                now[name] = ObservedReplica(action.replica, routed=False, epoch=epoch)
            case "route":
                now[name] = replace(now[name], state="ready", routed=True, epoch=epoch)
            case "drain":
                now[name] = replace(now[name], state="drained", routed=False)
            case "stop":
                del now[name]
    return replace(observed, replicas=tuple(now.values()))


def _does_not_fit(match: Matched, limits: Limits) -> Refusal | None:
    """Why the wanted state itself is impossible, whatever the order."""
    ledger = Ledger(limits.gpus)
    wanted = [*(one.replica for one in match.keep), *(one.replica for one in match.start)]
    for replica in wanted:
        for part in replica.slices:
            if (part.node, part.gpu) not in limits.gpus:
                return Refusal(
                    f"{replica.replica} is placed on GPU {part.gpu} of {part.node}, which is gone "
                    "or belongs to somebody else; make the plan again for the GPUs that there are"
                )
        ledger.take(parts_of(replica))
    for (node, gpu), what, held, there in ledger.overdrawn():
        return Refusal(
            f"GPU {gpu} of {node} has {there:.3g} of its {what} for this deployment, and the plan "
            f"takes {held:.3g}; make the plan again for what others leave"
        )
    return None


def _dips(match: Matched, found: Sequence[Section]) -> tuple[Dip, ...]:
    def each() -> Iterator[Dip]:
        for section in found:
            for llm, missing in section.order.dips.items():
                yield Dip(llm, missing, starts_of(match, llm), section.lasts.get(llm))

    return tuple(sorted(each(), key=lambda dip: dip.llm))
