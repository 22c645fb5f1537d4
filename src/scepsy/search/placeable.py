"""The cheapest allocation that can be placed: hands candidates to placement, cheapest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf

from scepsy.core.plan import Allocation, Infeasible, Placement
from scepsy.search.best_first import Budget
from scepsy.search.constraints import conservative
from scepsy.search.cuts import with_group_constraints, with_violated_constraint
from scepsy.search.exact import Candidate, Search
from scepsy.search.mixed_integer import cheapest_fitting

PROOF_GAP = 2e-6
"""Relative gap between cost and lower bound up to which the cost counts as proven optimal: twice
the gap at which HiGHS stops.
"""
MIP_GAP_MIN = 0.002
"""Relative gap above which a mixed-integer programme is solved. That can take seconds on a thousand
GPUs, which a smaller gap does not justify.
"""
REFUSALS_MAX = 8
"""Refusals by placement in a row before a tighter constraint, or fewer GPUs, are tried."""
STEPS_MAX = 50_000
"""Steps of one decision: partial choices that are expanded. They take about a second on one core.
"""
ATTEMPT_STEPS_MAX = 2_000
"""Steps of each attempt to find an incumbent, once placement has refused the cheapest candidates.
"""

Place = Callable[[Allocation], Placement | Infeasible]
"""Finds a place for every replica of an allocation."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An allocation that placement refused."""

    candidate: Candidate
    reason: Infeasible


@dataclass(frozen=True, slots=True)
class Choice:
    """The cheapest allocation that could be placed.

    Attributes:
        candidate: that allocation.
        placement: where its replicas run.
        skipped: the allocations that placement refused, in the order in which they were tried.
        runners_up: the next cheapest allocations that could be placed.
        placements: of the chosen allocation and of the runners-up.
        pruned: sentences on what the search left out, and why.
        bound: weighted seconds; a lower bound on the cost of every placeable allocation.
        proven: whether the chosen allocation is proven to be the optimum. If not, its cost exceeds
            the optimum by at most its distance from `bound`.
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

    Where fragmentation makes `place` refuse candidates, an incumbent is sought among allocations
    that pack well, and about `limit` candidates that are cheaper than it are tried. Where that
    limit is reached or the `steps` are spent, a mixed-integer programme is solved a few times. The
    result says whether it is proven optimal, and gives a lower bound.
    """
    pruned = tuple(found.space.reasons)
    cache, budget = _PlacementCache(place), Budget(steps)
    found = with_group_constraints(found)
    stream = _CandidateStream(found, cache, budget)
    fitting = stream.next_fitting(REFUSALS_MAX)
    while fitting is None and not (stream.exhausted or budget.spent):
        tighter = with_violated_constraint(found, stream.last.allocation)
        if tighter is None:
            break
        found, stream = tighter, _CandidateStream(tighter, cache, budget)
        fitting = stream.next_fitting(REFUSALS_MAX)
    incumbent = _Outcome(fitting, stream)
    if fitting is None and not stream.exhausted:
        incumbent = _incumbent(found, cache)
        fitting = stream.next_fitting(limit, below=incumbent.objective)
    chosen = _Outcome(fitting, stream) if fitting is not None else incumbent
    bound = max(stream.reached, found.bound())
    proven = fitting is not None or stream.exhausted or bound >= incumbent.objective
    others: tuple[Candidate, ...] = ()
    if not proven and bound < chosen.objective * (1 - MIP_GAP_MIN):
        solved = cheapest_fitting(found, cache.fits, below=chosen.objective)
        bound = max(bound, solved.bound)
        if solved.candidate is not None:
            others = () if chosen.candidate is None else (chosen.candidate,)
            chosen = _Outcome(solved.candidate, stream)
        proven = bound >= chosen.objective * (1 - PROOF_GAP)
    if chosen.candidate is None:
        return cache.refusal(complete=proven or stream.exhausted)
    skipped = tuple(cache.skipped.values())
    others = (*others, *chosen.stream.next_placeable(runners_up - len(others)))
    return Choice(
        candidate=chosen.candidate,
        placement=cache.placements[chosen.candidate.allocation],
        skipped=skipped,
        runners_up=others,
        placements={
            one.allocation: cache.placements[one.allocation] for one in (chosen.candidate, *others)
        },
        pruned=pruned,
        bound=chosen.candidate.objective if proven else bound,
        proven=proven,
    )


def _incumbent(found: Search, cache: _PlacementCache) -> _Outcome:
    """A placeable allocation, not the optimum in general: the cheaper one of those found under the
    conservative constraint and under the present one with less capacity.
    """
    space = found.space
    found_with_fewer = [
        _with_fewer_gpus(found.by(constraint), cache)
        for constraint in (conservative(space.grain, space.gpus), found.constraint)
    ]
    return min(found_with_fewer, key=lambda outcome: outcome.objective)


def _with_fewer_gpus(found: Search, cache: _PlacementCache) -> _Outcome:
    """The first candidate that can be placed with the capacity reduced as little as possible. The
    reduction is doubled until a candidate can be placed, and then bisected.
    """
    constraint, most = found.constraint, found.constraint.capacity - found.least

    def attempt(fewer: int) -> _Outcome:
        smaller = found.by(replace(constraint, capacity=constraint.capacity - fewer))
        stream = _CandidateStream(smaller, cache, Budget(ATTEMPT_STEPS_MAX))
        return _Outcome(stream.next_fitting(REFUSALS_MAX), stream)

    refused, fewer = 0, 0
    outcome = attempt(fewer)
    while outcome.candidate is None and fewer < most:
        refused = fewer
        fewer = min(max(2 * fewer, constraint.scale // found.space.grain, 1), most)
        outcome = attempt(fewer)
    while outcome.candidate is not None and fewer - refused > max(1, fewer // 8):
        middle = (refused + fewer) // 2
        better = attempt(middle)
        if better.candidate is None:
            refused = middle
        else:
            fewer, outcome = middle, better
    return outcome


class _PlacementCache:
    """The result of placement for each allocation, so that each is placed only once."""

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
        """Why there is no choice, with placement's reason for the cheapest candidate. `complete`:
        placement refused every candidate that exists, not only those that were tried.
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


class _CandidateStream:
    """Hands the candidates of one search to placement, in order.

    Attributes:
        last: the candidate that was handed over last.
        reached: weighted seconds; no later candidate costs less.
        exhausted: whether there are no more candidates.
    """

    def __init__(self, found: Search, cache: _PlacementCache, budget: Budget) -> None:
        self._candidates = found.candidates(budget)
        self._cache, self._budget = cache, budget
        self.last = Candidate(Allocation(llms=()), -inf)
        self.exhausted = False

    @property
    def reached(self) -> float:
        return max(self.last.objective, self._budget.reached)

    def next_fitting(self, tries: int, below: float = inf) -> Candidate | None:
        """The next candidate that can be placed and costs less than `below`; None after `tries`."""
        for _ in range(tries):
            candidate = next(self._candidates, None)
            if candidate is None:
                self.exhausted = not self._budget.spent
                return None
            self.last = candidate
            if candidate.objective >= below:
                return None
            if self._cache.fits(candidate):
                return candidate
        return None

    def next_placeable(self, wanted: int) -> Iterator[Candidate]:
        """Up to `wanted` more candidates that can be placed; ends after `REFUSALS_MAX` refusals in
        a row.
        """
        for _ in range(wanted):
            fitting = self.next_fitting(REFUSALS_MAX)
            if fitting is None:
                return
            yield fitting


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A candidate that can be placed, if there is one, and the stream in which it was found."""

    candidate: Candidate | None
    stream: _CandidateStream

    @property
    def objective(self) -> float:
        return inf if self.candidate is None else self.candidate.objective
