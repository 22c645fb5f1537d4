"""The order in which replicas start and leave, so that no GPU is overdrawn and no LLM falls below
the capacity that its load needs, where such an order exists.

Replicas that leave make room for those that wait to start. First a quick rule is tried: start what
fits; where nothing fits, let those leave whose parts the largest waiting start needs, and of these
first the ones whose LLM keeps the most spare capacity. Where this rule would take an LLM below its
floor, a search over all orders follows (Dijkstra's algorithm with the largest dip so far as the
length of a path), with a limited number of steps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from scepsy.deploy.changes.capacity import Capacity
from scepsy.deploy.changes.ledger import Ledger, Part, contested
from scepsy.deploy.changes.observed import GpuId

WORK_MAX = 200_000
"""Steps that the search does and looks at, over all states that it visits. They bound its time to
a few seconds: 10,000 states of ten replicas, 100 of a thousand.
"""

ROUNDING = 1e-9
"""Part of a floor by which capacity may be below it, because sums are rounded."""


@dataclass(frozen=True, slots=True)
class Step:
    """A replica that starts, or one that leaves.

    Attributes:
        name: name of the replica.
        llm: name of its LLM.
        parts: what it holds of GPUs.
        gives: calls per second that it can serve.
        starts: whether it starts; otherwise it leaves.
    """

    name: str
    llm: str
    parts: tuple[Part, ...]
    gives: float
    starts: bool

    @property
    def size(self) -> tuple[float, float]:
        """GPUs' worth of memory and of compute."""
        return sum(part.memory for part in self.parts), sum(part.compute for part in self.parts)


@dataclass(slots=True)
class Balance:
    """What is held and served at one point of an order.

    Attributes:
        ledger: what all replicas hold that are there at this point.
        serving: calls per second that can be served, by LLM.
        capacity: the floors.
    """

    ledger: Ledger
    serving: defaultdict[str, float]
    capacity: Capacity

    def copy(self) -> Balance:
        return Balance(self.ledger.copy(), self.serving.copy(), self.capacity)

    def can(self, step: Step) -> bool:
        """Whether the GPUs have room for a start; a replica can always leave."""
        return not step.starts or self.ledger.has_room(step.parts)

    def dip(self, step: Step) -> float:
        """The part of the capacity that its load needs which an LLM lacks after a replica has left;
        0 where enough stays, and for starts.
        """
        return 0.0 if step.starts else self.missing(step.llm, self.serving[step.llm] - step.gives)

    def missing(self, llm: str, serving: float) -> float:
        """The part of what the load needs that is missing with this capacity, from 0 to 1."""
        floor = self.capacity.floor(llm)
        if floor <= 0 or serving >= floor * (1 - ROUNDING):
            return 0.0
        return min(1.0, 1.0 - serving / floor)

    def spare(self, step: Step) -> float:
        """What the LLM of a leaving replica has beyond its floor once that has left, as a fraction
        of the floor; infinite without a floor.
        """
        floor = self.capacity.floor(step.llm)
        left = self.serving[step.llm] - step.gives
        return left / floor - 1.0 if floor > 0 else float("inf")

    def do(self, step: Step) -> None:
        if step.starts:
            self.ledger.take(step.parts)
            self.serving[step.llm] += step.gives
        else:
            self.ledger.give_back(step.parts)
            self.serving[step.llm] -= step.gives

    def undo(self, step: Step) -> None:
        if step.starts:
            self.ledger.give_back(step.parts)
            self.serving[step.llm] -= step.gives
        else:
            self.ledger.take(step.parts)
            self.serving[step.llm] += step.gives


@dataclass(frozen=True, slots=True)
class Order:
    """The steps up to the last start. Replicas that are not named leave afterwards.

    Attributes:
        steps: starts, and the leaves that make room for them.
        dips: by LLM, the largest part of the needed capacity that is missing on the way.
    """

    steps: tuple[Step, ...]
    dips: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def worst(self) -> float:
        return max(self.dips.values(), default=0.0)


def ordered(balance: Balance, starts: Sequence[Step], leaves: Sequence[Step]) -> Order:
    """An order in which all `starts` fit, with the smallest possible dip where the search ends
    within its steps. All of them must fit once all `leaves` have left.
    """
    quick = _quick(balance.copy(), starts, leaves, floors=True)
    if quick is not None:
        return quick
    forced = _quick(balance.copy(), starts, leaves, floors=False)
    if forced is None:
        raise ValueError("the starts do not fit even when everything has left")
    found = _Search(balance, starts, leaves, below=forced.worst).best()
    return forced if found is None else found


def replayed(balance: Balance, steps: Sequence[Step]) -> Order | None:
    """The order with its dips; None where a start finds no room."""
    now = balance.copy()
    dips: dict[str, float] = {}
    for step in steps:
        if not now.can(step):
            return None
        dip = now.dip(step)
        if dip > dips.get(step.llm, 0.0):
            dips[step.llm] = dip
        now.do(step)
    return Order(tuple(steps), dips)


def _quick(
    balance: Balance, starts: Sequence[Step], leaves: Sequence[Step], *, floors: bool
) -> Order | None:
    """The order of the quick rule. With `floors`, None where it takes an LLM below its floor;
    otherwise the start is taken first whose room costs the smallest dip.
    """
    before = balance.copy()
    waiting = sorted(starts, key=lambda step: step.size, reverse=True)
    there: dict[GpuId, list[Step]] = defaultdict(list)
    for step in leaves:
        for part in step.parts:
            there[part.gpu].append(step)
    steps: list[Step] = []
    while waiting:
        fitting = [step for step in waiting if balance.can(step)]
        for step in fitting:
            if balance.can(step):
                balance.do(step)
                waiting.remove(step)
                steps.append(step)
        if not waiting:
            break
        room = _cheapest_room(waiting, there, balance, floors=floors)
        if room is None:
            return None
        for one in room:
            balance.do(one)
            for part in one.parts:
                there[part.gpu].remove(one)
            steps.append(one)
    return replayed(before, steps)


def _cheapest_room(
    waiting: Sequence[Step],
    there: Mapping[GpuId, Sequence[Step]],
    balance: Balance,
    *,
    floors: bool,
) -> list[Step] | None:
    """The replicas that leave for one of those that wait: for the first that costs no dip, or else
    for the one that costs the smallest. None where `floors` are to be kept and cannot be.
    """
    cheapest: tuple[float, list[Step] | None] = float("inf"), None
    for step in waiting:
        room = _room_for(step, there, balance)
        if room is None:
            continue
        dip = _dip_of(room, balance)
        if dip == 0.0:
            return room
        if not floors and dip < cheapest[0]:
            cheapest = dip, room
    return cheapest[1]


def _room_for(
    start: Step, there: Mapping[GpuId, Sequence[Step]], balance: Balance
) -> list[Step] | None:
    """Replicas that have to leave before the start fits, those first whose LLM keeps the most spare
    capacity. None where it does not even fit without all of them. The balance is left as it was.
    """
    out: list[Step] = []
    fits = True
    for part in start.parts:
        while fits and (what := balance.ledger.lacks(part)) is not None:
            on = [
                (one, held)
                for one in there[part.gpu]
                if one not in out
                for held in one.parts
                if held.gpu == part.gpu and (held.memory if what == "memory" else held.compute) > 0
            ]
            fits = bool(on)
            if on:
                one, _ = max(on, key=lambda each: (balance.spare(each[0]), each[1].memory))
                balance.do(one)
                out.append(one)
    needed: list[Step] = []
    for one in out:
        balance.undo(one)
        if not balance.ledger.has_room(start.parts):
            balance.do(one)
            needed.append(one)
    for one in needed:
        balance.undo(one)
    return needed if fits else None


def _dip_of(room: Sequence[Step], balance: Balance) -> float:
    """The largest dip while these leave one after another."""
    worst = 0.0
    for one in room:
        worst = max(worst, balance.dip(one))
        balance.do(one)
    for one in reversed(room):
        balance.undo(one)
    return worst


class _Search:
    """Best first over (started, left), as bit masks, by the largest dip so far."""

    def __init__(
        self, balance: Balance, starts: Sequence[Step], leaves: Sequence[Step], below: float
    ) -> None:
        self._balance = balance
        self._steps = (*starts, *leaves)
        self._starts = len(starts)
        self._below = below
        self._number = {step.name: number for number, step in enumerate(self._steps)}

    def best(self) -> Order | None:
        """The order with the smallest dip below `below`; None if none is found."""
        all_started = (1 << self._starts) - 1
        ties = count()
        heap: list[tuple[float, int, int, int, tuple[int, ...]]] = [(0.0, 0, next(ties), 0, ())]
        seen: set[int] = set()
        work = 0
        while heap and work < WORK_MAX:
            dip, _, _, mask, path = heappop(heap)
            work += len(path) + len(self._steps)
            if mask & all_started == all_started:
                return self._lazy([self._steps[number] for number in path])
            if mask in seen:
                continue
            seen.add(mask)
            balance = self._balance.copy()
            for number in path:
                balance.do(self._steps[number])
            for number in self._next(balance, mask):
                step = self._steps[number]
                worst = max(dip, balance.dip(step))
                then = mask | 1 << number
                if worst < self._below and then not in seen:
                    left = self._starts - (then & all_started).bit_count()
                    entry = (worst, left, next(ties), then, (*path, number))
                    heappush(heap, entry)
        return None

    def _next(self, balance: Balance, mask: int) -> Iterator[int]:
        """The steps worth trying. A start whose GPUs have room for all that wait for them is the
        only one, since it takes nothing from anybody.
        """
        waiting = [n for n in range(self._starts) if not mask >> n & 1]
        scarce = contested(balance.ledger, (self._steps[n].parts for n in waiting))
        fitting = [n for n in waiting if balance.can(self._steps[n])]
        for number in fitting:
            if not any(part.gpu in scarce for part in self._steps[number].parts):
                yield number
                return
        yield from fitting
        for number in range(self._starts, len(self._steps)):
            if not mask >> number & 1 and any(p.gpu in scarce for p in self._steps[number].parts):
                yield number

    def _lazy(self, steps: list[Step]) -> Order:
        """The order without the leaves that make room for nothing: they come at the end."""
        for step in [one for one in reversed(steps) if not one.starts]:
            without = [one for one in steps if one is not step]
            if replayed(self._balance, without) is not None:
                steps = without
        found = replayed(self._balance, steps)
        assert found is not None
        return found
