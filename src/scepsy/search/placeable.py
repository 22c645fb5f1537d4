"""Gives allocations to placement, cheapest first, until one can be placed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf

from scepsy.core.plan import Allocation, Infeasible, Placement
from scepsy.search.best_first import Budget
from scepsy.search.cuts import sharpened, with_domains
from scepsy.search.exact import Candidate, Search
from scepsy.search.measure import cautious
from scepsy.search.mixed_integer import cheapest_fitting

PROOF_GAP = 2e-6
"""Relative gap between the cost and the bound that counts as a proof: twice that of HiGHS."""

GAP_WORTH_CLOSING = 0.002
"""Relative gap from which on a mixed-integer programme is solved, which can take seconds on a
thousand GPUs. A smaller difference is not worth them."""

Place = Callable[[Allocation], Placement | Infeasible]

PATIENCE = 8
"""Refusals by placement before a sharper measure, or fewer GPUs, are tried."""
STEPS_MAX = 50_000
"""Steps of one decision: partial choices that are looked at. About a second on one core."""
ATTEMPT_STEPS_MAX = 2_000
"""Steps of each attempt to find some allocation that can be placed, once candidates fail."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An allocation that placement refused."""

    candidate: Candidate
    reason: Infeasible


@dataclass(frozen=True, slots=True)
class Choice:
    """The cheapest allocation that could be placed.

    Attributes:
        skipped: those that placement refused, in the order in which they were tried.
        runners_up: the next that could be placed.
        placements: of the chosen one and of the runners-up.
        pruned: what the search did not even consider, and why.
        bound: weighted seconds; no allocation that can be placed costs less.
        proven: whether the chosen one is the optimum. If not, `bound` says how far it may be off.
    """

    candidate: Candidate
    placement: Placement
    skipped: tuple[Skipped, ...]
    runners_up: tuple[Candidate, ...]
    placements: Mapping[Allocation, Placement]
    pruned: tuple[str, ...]
    bound: float
    proven: bool


def best_placeable(
    found: Search,
    place: Place,
    *,
    limit: int = 500,
    runners_up: int = 3,
    steps: int = STEPS_MAX,
) -> Choice | Infeasible:
    """The cheapest candidate that `place` accepts, and the next few.

    Where fragmentation makes candidates fail, an incumbent is sought among allocations that pack
    well, and the candidates cheaper than it are tried, about `limit` of them. Where that limit is
    reached or the `steps` are spent, a mixed-integer programme is solved a few times. The result
    says whether it is proven to be the optimum, and how far from it it may be.
    """
    pruned = tuple(found.space.reasons)
    ledger, budget = _Ledger(place), Budget(steps)
    found = with_domains(found)
    walk = _Walk(found, ledger, budget)
    fitting = walk.next_fitting(PATIENCE)
    while fitting is None and not (walk.exhausted or budget.spent):
        tighter = sharpened(found, walk.last.allocation)
        if tighter is None:
            break
        found, walk = tighter, _Walk(tighter, ledger, budget)
        fitting = walk.next_fitting(PATIENCE)
    incumbent = _Outcome(fitting, walk)
    if fitting is None and not walk.exhausted:
        incumbent = _incumbent(found, ledger)
        fitting = walk.next_fitting(limit, below=incumbent.objective)
    chosen = _Outcome(fitting, walk) if fitting is not None else incumbent
    bound = max(walk.reached, found.bound())
    proven = fitting is not None or walk.exhausted or bound >= incumbent.objective
    others: tuple[Candidate, ...] = ()
    if not proven and bound < chosen.objective * (1 - GAP_WORTH_CLOSING):
        solved = cheapest_fitting(found, ledger.fits, below=chosen.objective)
        bound = max(bound, solved.bound)
        if solved.candidate is not None:
            others = () if chosen.candidate is None else (chosen.candidate,)
            chosen = _Outcome(solved.candidate, walk)
        proven = bound >= chosen.objective * (1 - PROOF_GAP)
    if chosen.candidate is None:
        return ledger.refusal(complete=proven or walk.exhausted)
    skipped = tuple(ledger.skipped.values())
    others = (*others, *chosen.walk.further(runners_up - len(others)))
    return Choice(
        candidate=chosen.candidate,
        placement=ledger.placements[chosen.candidate.allocation],
        skipped=skipped,
        runners_up=others,
        placements={
            one.allocation: ledger.placements[one.allocation] for one in (chosen.candidate, *others)
        },
        pruned=pruned,
        bound=chosen.candidate.objective if proven else bound,
        proven=proven,
    )


def _incumbent(found: Search, ledger: _Ledger) -> _Outcome:
    """The better of what fits when parts of GPUs weigh cautiously, and when GPUs are fewer."""
    space = found.space
    confined = [
        _confined(found.by(measure), ledger)
        for measure in (cautious(space.grain, space.gpus), found.measure)
    ]
    return min(confined, key=lambda outcome: outcome.objective)


def _confined(found: Search, ledger: _Ledger) -> _Outcome:
    """The first candidate that fits on the least reduction of GPUs, by doubling and halving."""
    measure, most = found.measure, found.measure.capacity - found.least

    def attempt(fewer: int) -> _Outcome:
        smaller = found.by(replace(measure, capacity=measure.capacity - fewer))
        walk = _Walk(smaller, ledger, Budget(ATTEMPT_STEPS_MAX))
        return _Outcome(walk.next_fitting(PATIENCE), walk)

    refused, fewer = 0, 0
    outcome = attempt(fewer)
    while outcome.candidate is None and fewer < most:
        refused = fewer
        fewer = min(max(2 * fewer, measure.scale // found.space.grain, 1), most)
        outcome = attempt(fewer)
    while outcome.candidate is not None and fewer - refused > max(1, fewer // 8):
        middle = (refused + fewer) // 2
        better = attempt(middle)
        if better.candidate is None:
            refused = middle
        else:
            fewer, outcome = middle, better
    return outcome


class _Ledger:
    """What placement answered for each allocation, so that it is asked once for each."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.placements: dict[Allocation, Placement] = {}
        self.skipped: dict[Allocation, Skipped] = {}

    def fits(self, candidate: Candidate) -> bool:
        allocation = candidate.allocation
        if allocation not in self.placements and allocation not in self.skipped:
            answer = self._place(allocation)
            if isinstance(answer, Infeasible):
                self.skipped[allocation] = Skipped(candidate, answer)
            else:
                self.placements[allocation] = answer
        return allocation in self.placements

    def refusal(self, *, complete: bool) -> Infeasible:
        """Placement's own reason for the cheapest candidate: every candidate was refused, or, where
        that is not `complete`, all that were tried.
        """
        refused = list(self.skipped.values())
        if not refused:
            reason = "the search's steps ran out before it met an allocation that fits the GPUs"
            if complete:
                reason = (
                    "no allocation fits both the GPUs and the room for groups in NVLink domains"
                )
            return Infeasible("placement", reason)
        if not complete:
            return Infeasible(
                "placement",
                f"the search ran out of steps: none of the {len(refused)} allocations that it "
                f"tried can be placed; the cheapest: {refused[0].reason.reason}",
            )
        return Infeasible(
            "placement",
            f"none of {len(refused)} allocations can be placed; the cheapest: "
            f"{refused[0].reason.reason}",
        )


class _Walk:
    """The candidates of one search, handed to placement in turn.

    `last` is the candidate that was given to placement last. No later candidate costs less than
    `reached`. `exhausted`: there are no more candidates.
    """

    def __init__(self, found: Search, ledger: _Ledger, budget: Budget) -> None:
        self._candidates = found.candidates(budget)
        self._ledger, self._budget = ledger, budget
        self.last = Candidate(Allocation(llms=()), -inf)
        self.exhausted = False

    @property
    def reached(self) -> float:
        return max(self.last.objective, self._budget.reached)

    def next_fitting(self, tries: int, below: float = inf) -> Candidate | None:
        """The next that fits and costs less than `below`, giving up after `tries`."""
        for _ in range(tries):
            candidate = next(self._candidates, None)
            if candidate is None:
                self.exhausted = not self._budget.spent
                return None
            self.last = candidate
            if candidate.objective >= below:
                return None
            if self._ledger.fits(candidate):
                return candidate
        return None

    def further(self, wanted: int) -> Iterator[Candidate]:
        """Up to `wanted` more that can be placed; ends after `PATIENCE` refusals in a row."""
        for _ in range(wanted):
            fitting = self.next_fitting(PATIENCE)
            if fitting is None:
                return
            yield fitting


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A candidate that fits, if any, and the walk that found it."""

    candidate: Candidate | None
    walk: _Walk

    @property
    def objective(self) -> float:
        return inf if self.candidate is None else self.candidate.objective
