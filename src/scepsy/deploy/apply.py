"""Executes the waves of a change: observes, asks what to do next, does it, and observes again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scepsy.core.plan import Plan, Replica
from scepsy.deploy.accepted import AcceptedPlan
from scepsy.deploy.backend import Applied, CutCalls, OnProgress, Runtime, cut_calls
from scepsy.deploy.changes.actions import Refusal, Wave
from scepsy.deploy.changes.limits import Limits, limits_of
from scepsy.deploy.changes.observed import Observed, Wanted
from scepsy.deploy.gateway_client import GatewayCounts
from scepsy.deploy.reconcile import diff, next_wave
from scepsy.deploy.wording import cut_text, lost_text, refusal_text, wave_text, way_text
from scepsy.errors import BadInput, CapacityDip, EngineFailed, ScepsyError, first_of

_WAVES_MOST = 20
"""Waves that a change takes at most, and as many for each replica. More of them go round in a
circle.
"""


_NOTICED_WITHIN = 5.0
"""Seconds that a gateway has to notice that an engine with calls in flight has been stopped."""


@dataclass(slots=True)
class Done:
    """What a change has done so far. It is kept where the change fails.

    `started` and `stopped` are names of replicas, `waves` the sentences that were told,
    `start_seconds` by LLM how long its slowest start took.
    """

    started: list[str] = field(default_factory=list[str])
    stopped: list[str] = field(default_factory=list[str])
    waves: list[str] = field(default_factory=list[str])
    cut: list[CutCalls] = field(default_factory=list[CutCalls])
    start_seconds: dict[str, float] = field(default_factory=dict[str, float])

    def applied(self, name: str, epoch: int, url: str, replicas: Iterable[str]) -> Applied:
        """The result of a change that has come to its end."""
        return Applied(
            name=name,
            epoch=epoch,
            url=url,
            replicas=tuple(sorted(replicas)),
            started=tuple(self.started),
            stopped=tuple(self.stopped),
            waves=tuple(self.waves),
            cut=tuple(self.cut),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A change of what `runtime` sees into what is `wanted`.

    Attributes:
        grace: seconds that calls have to finish before their replica stops.
        allow_dip: whether an LLM may have less capacity on the way than its load needs.
        calls_before: the calls when the change was asked for; None where it runs at once. Those
            that are cut after that are told.
        say: called with a sentence for each thing that happens.
    """

    runtime: Runtime
    wanted: Wanted
    limits: Limits
    grace: float
    allow_dip: bool
    say: OnProgress
    done: Done = field(default_factory=Done)
    calls_before: GatewayCounts | None = None

    async def check(self) -> None:
        """Raises CapacityDip or BadInput where the change is not to be made, before it begins."""
        await self.preview()

    async def preview(self) -> tuple[str, ...]:
        """A sentence for each wave, if every action succeeds. Raises as `check` does; where less
        capacity than the load needs is the reason, with the waves that would be allowed.
        """
        observed = await self.runtime.observe()
        way = diff(self.wanted, observed, self.limits, allow_dip=self.allow_dip)
        if way.refusal is None:
            return way_text(way)
        dipping = diff(self.wanted, observed, self.limits, allow_dip=bool(way.refusal.dips))
        raise refused(way.refusal).after(way_text(dipping))

    async def run(self) -> None:
        """Executes waves until what runs is what is wanted.

        Raises:
            CapacityDip, BadInput: the next wave is not to be made. What was done until then stays.
            EngineFailed, PortInUse: a replica did not start; the rest of its wave was broken off.
        """
        before = self.calls_before or await self.runtime.calls()
        most = _WAVES_MOST * (1 + len(self.wanted.replicas))
        for number in range(1, most + 1):
            observed = await self.runtime.observe()
            wave = next_wave(self.wanted, observed, self.limits, allow_dip=self.allow_dip)
            if isinstance(wave, Refusal):
                raise refused(wave)
            if wave.done:
                return
            self._tell(wave_text(number, wave))
            await self._execute(wave, observed, before)
        raise EngineFailed(
            f"the plan was not reached after {most} waves; `scepsy status` shows which replicas "
            "come and go"
        )

    async def _execute(self, wave: Wave, observed: Observed, before: GatewayCounts) -> None:
        """The actions of one wave, side by side. Routes change first, all at once. `before` are the
        calls when the change began.
        """
        joining, leaving, stopping = (_names(wave.of(kind)) for kind in ("route", "drain", "stop"))
        routed = {one.name for one in observed.replicas if one.routed}
        after = (routed | joining) - leaving - stopping
        if joining or after != routed:
            await self.runtime.route(after, joining)
        begun = {one.name for one in observed.replicas}
        try:
            async with asyncio.TaskGroup() as tasks:
                for replica in wave.of("start"):
                    tasks.create_task(self._start(replica, whole=replica.replica not in begun))
                if leaving:
                    tasks.create_task(self._drain(leaving))
                if stopping:
                    tasks.create_task(self._stop(stopping))
        except* ScepsyError as failures:
            raise first_of(failures) from None
        failed = {one.name: one.state for one in observed.replicas if one.failed}
        await self._count_cut({name: failed[name] for name in stopping if name in failed}, before)

    async def _start(self, replica: Replica, *, whole: bool) -> None:
        """Starts a replica, or waits for one whose start has begun: then it is not `whole`."""
        begun = time.monotonic()
        await self.runtime.start(replica)
        if whole:
            slowest = self.done.start_seconds.get(replica.llm, 0.0)
            self.done.start_seconds[replica.llm] = max(slowest, time.monotonic() - begun)
        self.done.started.append(replica.replica)
        self.say(f"ready: {replica.replica}")

    async def _drain(self, names: set[str]) -> None:
        for cut in cut_calls(await self.runtime.drain(names, self.grace)):
            self.done.cut.append(cut)
            self._tell(cut_text(cut.replica, cut.calls, self.grace))

    async def _stop(self, names: set[str]) -> None:
        await self.runtime.stop(names)
        self.done.stopped += sorted(names)

    async def _count_cut(self, failed: Mapping[str, str], before: GatewayCounts) -> None:
        """Counts the calls that were at replicas which have been stopped because they were hung or
        dead, once the gateway has noticed that they will not be answered.
        """
        if not failed:
            return
        ends = time.monotonic() + _NOTICED_WITHIN
        now = await self.runtime.calls()
        while now.at(failed) and time.monotonic() < ends:
            await asyncio.sleep(0.1)
            now = await self.runtime.calls()
        left = {name: now.cut.get(name, 0) - before.cut.get(name, 0) for name in failed}
        for cut in cut_calls({name: calls for name, calls in left.items() if calls > 0}):
            self.done.cut.append(cut)
            self._tell(lost_text(cut.replica, cut.calls, failed[cut.replica]))

    def _tell(self, sentence: str) -> None:
        self.done.waves.append(sentence)
        self.say(sentence)


def change_to(
    state: AcceptedPlan,
    runtime: Runtime,
    *,
    before: Plan,
    grace: float,
    allow_dip: bool,
    say: OnProgress,
) -> Change:
    """The change of what `runtime` sees into the plan of `state`; `before` is the plan whose load
    is served until then.
    """
    wanted = Wanted(plan=state.plan, epoch=state.epoch)
    limits = limits_of(state.plan, before=before)
    return Change(runtime, wanted, limits, grace, allow_dip, say)


def refused(refusal: Refusal) -> CapacityDip | BadInput:
    """The error for a change that is not to be made."""
    if refusal.dips:
        return CapacityDip(refusal_text(refusal))
    return BadInput(refusal_text(refusal))


def _names(replicas: tuple[Replica, ...]) -> set[str]:
    return {one.replica for one in replicas}
