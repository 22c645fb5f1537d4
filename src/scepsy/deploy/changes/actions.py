"""What is to be done to get from what runs to what is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scepsy.core.plan import Replica

ActionKind = Literal["start", "route", "drain", "stop"]


@dataclass(frozen=True, slots=True)
class Action:
    """One step of one replica. It is done when the state that it names has been reached, so it may
    be repeated, and an action that was interrupted is simply asked for again.

    - "start": an engine of this name runs with this LLM and size on these GPUs, and accepts
      requests. A replica that is already starting is waited for, and one that sleeps is woken. It
      is not routed to.
    - "route": the gateway sends calls to the replica, which now belongs to the wanted epoch.
    - "drain": the gateway sends no new calls to the replica, and either none is in flight any more
      or the time that calls are given is over.
    - "stop": no process of the replica is left and its parts of the GPUs are free. Where it is
      still routed to, because it hangs or has died, its route is removed first.

    Attributes:
        kind: what to do.
        replica: the replica under the name that it has, or will have, while it runs. Its GPUs may
            differ from those in the plan file where the plan's replicas are interchangeable.
        reason: why, as half a sentence: "it hangs", "the plan does not have it".
        replaces: of a start that moves a replica, the name of the running replica whose place in
            the plan it takes.
    """

    kind: ActionKind
    replica: Replica
    reason: str
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Dip:
    """Capacity that an LLM lacks while a deployment changes.

    Attributes:
        llm: name of the LLM.
        missing: part of the capacity that the plan's load needs, above 0 and at most 1. At 1 no
            replica serves the LLM.
        until: the replicas that start in the meantime, by the names that they would get now. Once
            they all serve, nothing is missing. A name that becomes free on the way may be taken
            instead, so sentences give their number only.
        seconds: how long these starts take by the last measured ones, once the calls of the
            replicas that leave have ended; None where one of them has not been measured.
    """

    llm: str
    missing: float
    until: tuple[str, ...] = ()
    seconds: float | None = None

    def __str__(self) -> str:
        part = f"{self.missing:.0%} of the capacity that its load needs"
        more = len(self.until)
        replicas = "another replica serves" if more == 1 else f"{more} more replicas serve"
        lacks = f"{self.llm} lacks {part}" + (f" until {replicas}" if more else "")
        if self.seconds is None:
            return f"{lacks}; for how long is unknown, as not all such starts have been measured"
        return f"{lacks}, about {max(1.0, self.seconds):.0f} s after the calls there have ended"


@dataclass(frozen=True, slots=True)
class Wave:
    """Actions that may go side by side, in any order. The next wave is computed from what is
    observed when all of them have ended, well or badly.

    Any part of a wave may be left out, fail, or be interrupted: no GPU is ever given away twice and
    no capacity falls below its floor, except for what `dips` says.

    Attributes:
        actions: at most one action for each replica. No action means that what runs is what is
            wanted.
        dips: capacity that this wave's drains take away below the floor, one entry for each LLM.
            Always empty unless dips are allowed.
    """

    actions: tuple[Action, ...]
    dips: tuple[Dip, ...] = ()

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return not self.actions

    def of(self, kind: ActionKind) -> tuple[Replica, ...]:
        """The replicas of all actions of one kind."""
        return tuple(action.replica for action in self.actions if action.kind == kind)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the wanted state is not brought about. Nothing, or nothing more, is to be changed.

    Attributes:
        reason: a sentence; where `dips` has the numbers, it does not repeat them.
        dips: capacity that would be missing; empty where the reason is another one. With dips, the
            change can be made if they are allowed.
    """

    reason: str
    dips: tuple[Dip, ...] = ()


@dataclass(frozen=True, slots=True)
class Changeover:
    """The whole way from what runs to what is wanted, as predicted if every action succeeds.

    Attributes:
        waves: the waves in order; none where nothing has to change.
        refusal: why the change is not made; None where it may be. `waves` then has none.
    """

    waves: tuple[Wave, ...] = ()
    refusal: Refusal | None = None

    @property
    def none(self) -> bool:
        """Whether what runs is what is wanted."""
        return not self.waves and self.refusal is None

    @property
    def dips(self) -> tuple[Dip, ...]:
        """By LLM, the largest dip of any wave."""
        worst: dict[str, Dip] = {}
        for dip in (one for wave in self.waves for one in wave.dips):
            if dip.llm not in worst or dip.missing > worst[dip.llm].missing:
                worst[dip.llm] = dip
        return tuple(worst[llm] for llm in sorted(worst))
