"""The Pareto front of latency against GPUs, and the plan on the fewest GPUs that is good enough
(pure).

A plan uses the GPUs on which at least one replica runs. The other GPUs stay free. Of two plans that
use equally many GPUs, the smaller one is that with the smaller sum of GPU shares, and then that in
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

FRONT_POINTS = 10
"""Approximate number of GPU counts for which the front is computed: enough points for a curve."""
PRICES_MAX = 5
"""Prices of GPU compute that are tried to leave shares free, each twice the one before."""
SHARE_DIGITS = 6
"""Decimal places to which GPU shares are compared: sums of tenths differ by rounding."""

SHARE_MIN = LEAST_MEASURED_SHARE - 1e-9
"""The smallest GPU share for which measurements are known, less the rounding error of shares."""

GoodEnough = Callable[[ShortlistEntry], bool]
Plans = Callable[[Problem], Iterable[ShortlistEntry]]
"""The best plan for a problem, or a few, as the search finds them; none where it is infeasible."""
ListPlans = Callable[[Problem], Shortlist | Infeasible]
"""The whole shortlist for a problem, which takes about ten times as long to compute as `Plans`."""


def size(entry: ShortlistEntry) -> tuple[int, float, int, float]:
    """Sort key of plans: those that use fewer resources first; of equal ones, the faster first."""
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
    """The best known plans for a problem, by the limit on GPUs.

    Only plans that sustain the targets by replay are kept. A plan on fewer GPUs also meets a higher
    limit, so the best latency never rises as GPUs are added.
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
        """Plans on at most `gpus` GPUs: the best that the search finds, and the other known ones.
        The fastest come first.
        """
        self._decide(gpus)
        return self._known(gpus)

    def shortlist(self, gpus: int) -> Shortlist | Infeasible:
        """The shortlist of plans on at most `gpus` GPUs."""
        if gpus not in self._shortlists:
            found = self._shortlists[gpus] = self._listed(self._problem.within(gpus))
            if isinstance(found, Shortlist):
                self._keep(found.entries)
        return self._shortlists[gpus]

    def shortlisted(self, gpus: int) -> list[ShortlistEntry]:
        """As `within`, and with the whole shortlist."""
        self.shortlist(gpus)
        return self._known(gpus)

    def within_at_price(self, gpus: int, gpu_price: float) -> list[ShortlistEntry]:
        """As `within`, and with the best plan for a price on GPU compute, in weighted seconds per
        GPU.
        """
        self._decide(gpus, gpu_price)
        return self._known(gpus)

    def front(self) -> tuple[ShortlistEntry, ...]:
        """The Pareto-optimal known plans: GPUs rising, latency falling."""
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
        """A limit on GPUs may pack an allocation onto fewer GPUs, so an allocation is kept once for
        each number of GPUs.
        """
        for one in entries:
            key = one.allocation, one.placement.gpus
            if isfinite(one.replay.objective) and key not in self._kept:
                self._kept.add(key)
                self.entries.append(one)


def _without_small_shares(problem: Problem) -> Problem:
    """Excludes GPU shares below the smallest measured one. Latencies at such shares are
    extrapolated, which does not justify leaving compute free.
    """
    for llm in problem.needed_llms:
        problem = problem.excluding(llm.name, lambda tp, gpu_share, _: gpu_share < SHARE_MIN)
    return problem


def explore(explorer: Explorer, most: int) -> None:
    """Finds plans for about `FRONT_POINTS` numbers of GPUs, from `most` down to the fewest that are
    feasible, in a geometric sequence.
    """
    for gpus in _spread(most):
        if not explorer.within(gpus):
            return


def fewest(explorer: Explorer, good_enough: GoodEnough, most: int) -> ShortlistEntry | None:
    """The plan on the fewest GPUs that is good enough, by bisection; None where no plan on `most`
    GPUs is.

    The last step looks at whole shortlists: on one GPU fewer, no plan of the shortlist is good
    enough.
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
    return _confirmed_by_shortlist(explorer, good_enough, found)


def smallest_shares(
    explorer: Explorer, good_enough: GoodEnough, chosen: ShortlistEntry, seconds: float
) -> ShortlistEntry:
    """The smallest plan on as many GPUs as `chosen` that is good enough, at rising prices of
    compute.

    At the first price all GPUs together cost `seconds`, the latency by which a plan that is good
    enough may be slower.
    """
    gpus = chosen.placement.gpus
    for doubling in range(PRICES_MAX):
        price = seconds * 2**doubling / gpus
        cheaper = [one for one in explorer.within_at_price(gpus, price) if good_enough(one)]
        smallest = min((*cheaper, chosen), key=size)
        if smallest is chosen and doubling:
            break
        chosen = smallest
    if chosen.placement.gpus < gpus:
        chosen = _confirmed_by_shortlist(explorer, good_enough, chosen)
    return chosen


def _confirmed_by_shortlist(
    explorer: Explorer, good_enough: GoodEnough, found: ShortlistEntry
) -> ShortlistEntry:
    """The plan, or one on fewer GPUs, such that no plan of the shortlist on one GPU fewer is good
    enough. The step doubles while smaller plans are found.
    """
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
    """The plan on the fewest GPUs of those that are good enough; of equal ones, the fastest."""
    return min(
        filter(good_enough, entries),
        key=lambda one: (one.placement.gpus, one.replay.objective),
        default=None,
    )


def _spread(most: int) -> Iterator[int]:
    """Numbers of GPUs from `most` down to 1, in a geometric sequence without repetition."""
    ratio = max(most, 2) ** (1 / FRONT_POINTS)
    gpus = most
    while gpus >= 1:
        yield gpus
        gpus = min(gpus - 1, ceil(gpus / ratio) if gpus > ratio else 0)
