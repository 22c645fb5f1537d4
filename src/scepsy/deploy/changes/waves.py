"""The actions that may go side by side, given who has to start, to leave and to stay."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scepsy.core.plan import Replica
from scepsy.deploy.changes.actions import Action, Dip, Wave
from scepsy.deploy.changes.ledger import Ledger, contested, parts_held
from scepsy.deploy.changes.limits import Limits
from scepsy.deploy.changes.matching import Matched
from scepsy.deploy.changes.observed import GpuId, Observed, ObservedReplica, Wanted
from scepsy.deploy.changes.order import Balance, Step, replayed
from scepsy.deploy.changes.situation import Section


def wave(
    wanted: Wanted,
    observed: Observed,
    limits: Limits,
    match: Matched,
    found: Sequence[Section],
) -> Wave:
    """The next wave of a change that consists of these sections.

    What has failed is stopped, and what has been drained. What stays is routed to. Of the starts,
    those happen for which there is room besides everything that is still there, one for each GPU.
    Replicas that serve are drained only while no start of their section is under way, because they
    are capacity: first those whose room is needed, and the others when all of their LLM serve.
    """
    drafted = _Draft(wanted, observed, limits, match)
    drafted.settle()
    for section in found:
        if not drafted.start(section) and not section.starting:
            drafted.make_room(section)
    drafted.let_go(found)
    return drafted.wave({llm: lasts for one in found for llm, lasts in one.lasts.items()})


@dataclass(slots=True)
class _Draft:
    """A wave as it grows."""

    wanted: Wanted
    observed: Observed
    limits: Limits
    match: Matched
    actions: list[Action] = field(default_factory=list[Action])
    now: Balance = field(init=False)
    turns: set[GpuId] = field(default_factory=set[GpuId])
    drained: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        ledger = Ledger(self.limits.gpus)
        serving: defaultdict[str, float] = defaultdict(float)
        for one in self.observed.replicas:
            ledger.take(parts_held(one))
            if one.serves:
                serving[one.replica.llm] += self.limits.capacity.given_by(one.replica)
            if one.state == "starting":
                self.turns |= _gpus(one.replica)
        self.now = Balance(ledger, serving, self.limits.capacity)

    def settle(self) -> None:
        """What has to be done whatever the order: failed ones stop, leaving ones that do not serve
        go on leaving, and those that stay are started to the end and routed to.
        """
        for one in self.match.failed:
            why = "it hangs" if one.state == "hung" else "it has died"
            self._add("stop", one.replica, why)
        for one in self.match.leave:
            if one.state in ("starting", "drained", "sleeping"):
                self._add("stop", one.replica, _why_it_goes(one))
            elif not one.serves:
                self._add("drain", one.replica, _why_it_goes(one))
        for one in self.match.keep:
            if one.state == "starting":
                self._add("start", one.replica, "it is starting")
            elif one.state != "sleeping" and not one.serves:
                self._add("route", one.replica, "it is ready")
            elif one.state != "sleeping" and one.epoch != self.wanted.epoch:
                self._add("route", one.replica, f"it stays in plan {self.wanted.epoch}")

    def start(self, section: Section) -> bool:
        """Starts what fits now, as long as the order that is left stays possible. Returns whether
        anything starts.
        """
        order = section.order
        balance = section.balance.copy()
        todo = list(order.steps)
        began = False
        for step in [one for one in order.steps if one.starts]:
            gpus = {part.gpu for part in step.parts}
            if gpus & self.turns or not self.now.can(step):
                continue
            scarce = contested(balance.ledger, (one.parts for one in todo if one.starts))
            if todo[0] is not step and gpus & scarce:
                after = replayed(balance, [step, *(one for one in todo if one is not step)])
                if after is None or after.worst > order.worst:
                    continue
            self._start(step)
            self.turns |= gpus
            balance.do(step)
            todo.remove(step)
            began = True
        return began

    def make_room(self, section: Section) -> None:
        """Drains the replicas whose room the next starts need, as far as the floors allow it now.
        Where the order itself goes below a floor, this does too once everything else has settled.
        """
        steps = list(section.order.steps)
        if not steps or steps[0].starts:
            return
        leading = True
        # A route that is about to be made comes before a drain that counts on it.
        joining = {one.replica.llm for one in self.match.keep if not one.serves}
        for step in steps:
            if step.starts or step.llm in joining:
                leading = False
                continue
            dip = self.now.dip(step)
            if dip > 0.0 and not (leading and section.settled):
                leading = False
                continue
            if not leading:
                rest = [one for one in steps if one is not step and one.name not in self.drained]
                balance = section.balance.copy()
                for one in steps:
                    if one.name in self.drained:
                        balance.do(one)
                after = replayed(balance, [step, *rest])
                if after is None or after.worst > section.order.worst:
                    continue
            self._drain(step, "its room is needed")

    def let_go(self, found: Sequence[Section]) -> None:
        """Drains the replicas that nobody needs: those of LLMs all of whose replicas serve, and
        those of LLMs that the plan does not have once everything else serves.
        """
        pending = {one.replica.llm for one in self.match.start}
        pending |= {one.replica.llm for one in self.match.keep if not one.serves}
        planned = {replica.llm for replica in self.wanted.replicas}
        for section in found:
            for step in section.leaves:
                waits = step.llm in pending if step.llm in planned else bool(pending)
                if step.name not in self.drained and not waits:
                    self._drain(step, "")

    def wave(self, lasts: Mapping[str, float | None]) -> Wave:
        """The actions in the order start, route, drain, stop. `lasts` has by LLM for how many
        seconds it lacks capacity, where that is known.
        """
        rank = {"start": 0, "route": 1, "drain": 2, "stop": 3}
        ordered = sorted(self.actions, key=lambda one: (rank[one.kind], one.replica.replica))
        return Wave(tuple(ordered), self._dips(lasts))

    def _dips(self, lasts: Mapping[str, float | None]) -> tuple[Dip, ...]:
        """What this wave's drains of serving replicas leave missing."""
        names = {one.name: one.replica.llm for one in self.match.leave if one.serves}
        llms = sorted({names[name] for name in self.drained})
        found = ((llm, self.now.missing(llm, self.now.serving[llm])) for llm in llms)
        return tuple(
            Dip(llm, missing, starts_of(self.match, llm), lasts.get(llm))
            for llm, missing in found
            if missing > 0.0
        )

    def _start(self, step: Step) -> None:
        self.now.ledger.take(step.parts)  # It does not serve before it is routed to.
        for new in self.match.start:
            if new.replica.replica == step.name:
                why = "the plan has it" if new.replaces is None else f"it replaces {new.replaces}"
                self.actions.append(Action("start", new.replica, why, new.replaces))
        for one in self.match.keep:
            if one.name == step.name:
                self._add("start", one.replica, "it wakes")

    def _drain(self, step: Step, why: str) -> None:
        self.drained.add(step.name)
        self.now.serving[step.llm] -= step.gives
        one = next(one for one in self.match.leave if one.name == step.name)
        reason = _why_it_goes(one) + (f", and {why}" if why else "")
        self._add("drain", one.replica, reason)

    def _add(self, kind: str, replica: Replica, reason: str) -> None:
        self.actions.append(Action(kind, replica, reason))  # pyright: ignore[reportArgumentType]


def starts_of(match: Matched, llm: str) -> tuple[str, ...]:
    """Names of the replicas of an LLM that do not serve yet and will."""
    new = [one.replica.replica for one in match.start if one.replica.llm == llm]
    old = [one.name for one in match.keep if one.replica.llm == llm and not one.serves]
    return tuple(sorted((*new, *old)))


def _why_it_goes(one: ObservedReplica) -> str:
    return (
        "it was started otherwise than it would be now"
        if one.outdated
        else "the plan does not have it"
    )


def _gpus(replica: Replica) -> set[GpuId]:
    return {(part.node, part.gpu) for part in replica.slices}
