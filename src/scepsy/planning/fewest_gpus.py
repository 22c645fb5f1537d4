"""Latency against GPUs, and the plan on the fewest GPUs that is good enough (pure).

A plan uses the GPUs that at least one replica runs on: the others are left free whole. Of two plans
that use equally many, the one that takes less of their compute is the smaller, and then the one in
fewer NVLink domains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import ceil, isfinite

from scepsy.core.cluster import Cluster
from scepsy.core.plan import Allocation, Infeasible, Placement
from scepsy.hardware.gpus import LEAST_MEASURED_SHARE
from scepsy.planning.problem import Problem
from scepsy.planning.shortlist import Shortlist, ShortlistEntry

POINTS = 10
"""Numbers of GPUs, about, for which the front has a plan of its own: enough for a curve."""
PRICES = 5
"""Prices of a GPU at which shares are left free, each twice the one before."""
SHARE_DIGITS = 6
"""Decimal places to which GPU shares are compared: sums of tenths differ by rounding."""

MEASURED = LEAST_MEASURED_SHARE - 1e-9
"""GPU share, with room for rounding."""

GoodEnough = Callable[[ShortlistEntry], bool]
Plans = Callable[[Problem], Iterable[ShortlistEntry]]
"""The search's best plan for a problem, or a few around it; none where it is infeasible."""
ListPlans = Callable[[Problem], Shortlist | Infeasible]
"""The whole shortlist for a problem, which takes about ten times as long."""


def size(entry: ShortlistEntry) -> tuple[int, float, int, float]:
    """Orders plans by what they leave free, the smallest first; of equals, the fastest."""
    return (
        entry.placement.gpus,
        round(entry.allocation.gpus, SHARE_DIGITS),
        domains_used(entry.placement, entry.problem.cluster),
        entry.replay.objective,
    )


def domains_used(placement: Placement, cluster: Cluster) -> int:
    """NVLink domains in which at least one GPU is used."""
    sizes = {node.name: node.domain_size for node in cluster.nodes}
    return len(
        {
            (part.node, part.gpu // sizes[part.node])
            for one in placement.replicas
            for part in one.slices
        }
    )


class Explorer:
    """The best plans known of a problem, by the most GPUs that they may use.

    Only plans whose replay sustains the targets are kept. A plan on fewer GPUs is a plan on more,
    too, so the best latency falls as GPUs are added.
    """

    def __init__(
        self, problem: Problem, best: Plans, listed: ListPlans, known: Iterable[ShortlistEntry] = ()
    ) -> None:
        self._problem, self._best, self._listed = problem, best, listed
        self.entries: list[ShortlistEntry] = []
        self._seen: set[tuple[int, float]] = set()
        self._shortlists: dict[int, Shortlist | Infeasible] = {}
        self._kept: set[tuple[Allocation, int]] = set()
        self._keep(known)

    def within(self, gpus: int) -> list[ShortlistEntry]:
        """Plans on at most that many GPUs: the search's best among them, and what else is known.
        Fastest first.
        """
        self._decide(gpus)
        return self._known(gpus)

    def shortlist(self, gpus: int) -> Shortlist | Infeasible:
        """The shortlist of plans on at most that many GPUs."""
        if gpus not in self._shortlists:
            found = self._shortlists[gpus] = self._listed(self._problem.within(gpus))
            if isinstance(found, Shortlist):
                self._keep(found.entries)
        return self._shortlists[gpus]

    def shortlisted(self, gpus: int) -> list[ShortlistEntry]:
        """As `within`, with the whole shortlist."""
        self.shortlist(gpus)
        return self._known(gpus)

    def cheaper(self, gpus: int, gpu_price: float) -> list[ShortlistEntry]:
        """As `within`, with the best where every GPU's worth of compute has a price, in seconds."""
        self._decide(gpus, gpu_price)
        return self._known(gpus)

    def front(self) -> tuple[ShortlistEntry, ...]:
        """Plans than which none that is known is both smaller and as fast: GPUs rising."""
        found: list[ShortlistEntry] = []
        for entry in sorted(self.entries, key=lambda one: (one.placement.gpus, one.rank)):
            if not found or entry.replay.objective < found[-1].replay.objective:
                found.append(entry)
        return tuple(found)

    def _decide(self, gpus: int, gpu_price: float = 0.0) -> None:
        if gpus > 0 and (gpus, gpu_price) not in self._seen:
            self._seen.add((gpus, gpu_price))
            problem = self._problem.within(gpus)
            if gpu_price:
                problem = _without_small_shares(problem.priced(gpu_price))
            self._keep(self._best(problem))

    def _known(self, gpus: int) -> list[ShortlistEntry]:
        fitting = [one for one in self.entries if one.placement.gpus <= gpus]
        return sorted(fitting, key=lambda one: (one.replay.objective, size(one)))

    def _keep(self, entries: Iterable[ShortlistEntry]) -> None:
        """A limit on GPUs may pack an allocation onto fewer of them, so one may be known twice."""
        for one in entries:
            key = one.allocation, one.placement.gpus
            if isfinite(one.replay.objective) and key not in self._kept:
                self._kept.add(key)
                self.entries.append(one)


def _without_small_shares(problem: Problem) -> Problem:
    """Latencies at smaller shares than were ever measured are extrapolated. That is no reason to
    take compute from an LLM that nobody else would use.
    """
    for llm in problem.needed_llms:
        problem = problem.excluding(llm.name, lambda tp, gpu_share, _: gpu_share < MEASURED)
    return problem


def explore(explorer: Explorer, most: int) -> None:
    """Looks at about `POINTS` numbers of GPUs, from `most` down to the fewest that will do, closer
    together where they are few.
    """
    for gpus in _spread(most):
        if not explorer.within(gpus):
            return


def fewest(explorer: Explorer, good_enough: GoodEnough, most: int) -> ShortlistEntry | None:
    """The plan on the fewest GPUs that is good enough, by halving; None where none on `most` is.

    The last step is thorough: with one GPU fewer, no plan of the whole shortlist is good enough.
    """
    found = _first(explorer.within(most), good_enough)
    if found is None:
        found = _first(explorer.shortlisted(most), good_enough)
    if found is None:
        return None
    low, high = 0, found.placement.gpus
    while high - low > 1:
        middle = (low + high) // 2
        better = _first(explorer.within(middle), good_enough)
        if better is None:
            low = middle
        else:
            found, high = better, better.placement.gpus
    return _thorough(explorer, good_enough, found)


def least_shares(
    explorer: Explorer, good_enough: GoodEnough, chosen: ShortlistEntry, seconds: float
) -> ShortlistEntry:
    """The smallest plan on as many GPUs as `chosen` that is good enough, at rising prices of a GPU.

    The first price is such that all GPUs together cost `seconds`, what a good plan may be slower.
    """
    gpus = chosen.placement.gpus
    for doubling in range(PRICES):
        price = seconds * 2**doubling / gpus
        cheaper = [one for one in explorer.cheaper(gpus, price) if good_enough(one)]
        smallest = min((*cheaper, chosen), key=size)
        if smallest is chosen and doubling:
            break
        chosen = smallest
    if chosen.placement.gpus < gpus:
        chosen = _thorough(explorer, good_enough, chosen)
    return chosen


def _thorough(explorer: Explorer, good_enough: GoodEnough, found: ShortlistEntry) -> ShortlistEntry:
    """The same or a smaller one, until one GPU fewer is shown to be too few."""
    step = 1
    while found.placement.gpus > 1:
        fewer = max(1, found.placement.gpus - step)
        better = _first(explorer.shortlisted(fewer), good_enough)
        if better is not None:
            found, step = better, 2 * step
        elif step > 1:
            step = 1
        else:
            break
    return found


def _first(entries: Iterable[ShortlistEntry], good_enough: GoodEnough) -> ShortlistEntry | None:
    """Of those that are good enough, the one on the fewest GPUs; of these, the fastest."""
    return min(
        filter(good_enough, entries),
        key=lambda one: (one.placement.gpus, one.replay.objective),
        default=None,
    )


def _spread(most: int) -> Iterator[int]:
    """Numbers of GPUs from `most` down to 1: the ratio of neighbours constant, none twice."""
    ratio = max(most, 2) ** (1 / POINTS)
    gpus = most
    while gpus >= 1:
        yield gpus
        gpus = min(gpus - 1, ceil(gpus / ratio) if gpus > ratio else 0)
