"""Packs fractions of GPUs onto as few GPUs as it finds: vector bin packing by kinds, not by items.

Items of one kind are alike, so all steps work on counts, and thousands of replicas cost no more
than a few. Best fit decreasing comes first; where it fails, filling GPU by GPU with the least
waste (Gupta and Ho, "A new heuristic algorithm for the one-dimensional bin-packing problem", 1999);
where that fails and the items are few, a bounded exact search.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

WHOLE = 10**12
"""Units in a GPU: shares become integers, so that ten times 0.1 is one."""
ROUNDING = 500
"""Units by which rounded shares may exceed a whole: 5e-10 of a GPU."""
FILLINGS = 2000
"""Fillings of one GPU to compare."""
EXACT_ITEMS = 48
EXACT_STEPS = 5000
"""Bounds of the exact search: items that it is tried for, and GPUs that it fills."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`count` items that each take `compute` and `memory` units of one GPU."""

    compute: int
    memory: int
    count: int

    @property
    def size(self) -> tuple[int, int]:
        return max(self.compute, self.memory), self.compute + self.memory


@dataclass(frozen=True, slots=True)
class PackedBins:
    """`bins` GPUs that each hold the same: `counts[k]` items of kind k."""

    counts: tuple[int, ...]
    bins: int


@dataclass(frozen=True, slots=True)
class Leftover:
    """The kind of which `count` items found no room, and the most free units on a GPU."""

    kind: int
    count: int
    compute: int
    memory: int


def pack(kinds: Sequence[Kind], bins: int) -> tuple[PackedBins, ...] | Leftover:
    """Loads of at most `bins` GPUs that hold every item, or what best fit had to leave over."""
    answer = _best_fit(kinds, bins)
    if isinstance(answer, tuple):
        return answer
    if _least_bins(kinds, [kind.count for kind in kinds]) > bins:
        return answer
    filled = _least_waste(kinds, bins)
    if filled is None and sum(kind.count for kind in kinds) <= EXACT_ITEMS:
        filled = _Exact(kinds).solve(bins)
    return filled or answer


def _best_fit(kinds: Sequence[Kind], bins: int) -> tuple[PackedBins, ...] | Leftover:
    """Largest items first, each into the fullest GPU that has room."""
    loads: list[PackedBins] = []
    for index in _largest_first(kinds):
        left = kinds[index].count
        loads.sort(key=lambda load: sum(_free(kinds, load.counts)))
        grown: list[PackedBins] = []
        for load in [
            *loads,
            PackedBins((0,) * len(kinds), bins - sum(load.bins for load in loads)),
        ]:
            parts, left = _add(kinds, load, index, left)
            grown.extend(parts)
        if left:
            free = [_free(kinds, load.counts) for load in grown] or [(0, 0)]
            return Leftover(index, left, *max(free, key=min))
        loads = [load for load in grown if any(load.counts)]
    return tuple(loads)


def _add(
    kinds: Sequence[Kind], load: PackedBins, index: int, left: int
) -> tuple[list[PackedBins], int]:
    """The load with up to `left` items of a kind added, split where its GPUs come to differ."""
    each = min(_fits(kinds[index], *_free(kinds, load.counts)), left)
    if each == 0 or load.bins == 0:
        return ([load] if load.bins else []), left
    full = min(load.bins, left // each)
    parts = [PackedBins(_plus(load.counts, index, each), full)]
    rest, left = load.bins - full, left - full * each
    if rest and left:
        parts.append(PackedBins(_plus(load.counts, index, left), 1))
        rest, left = rest - 1, 0
    if rest:
        parts.append(PackedBins(load.counts, rest))
    return parts, left


def _least_waste(kinds: Sequence[Kind], bins: int) -> tuple[PackedBins, ...] | None:
    """Fills GPU after GPU: the largest item left, and with it what leaves least unused."""
    left = [kind.count for kind in kinds]
    loads: list[PackedBins] = []
    while any(left):
        counts = min(
            islice(_fillings(kinds, left), FILLINGS), key=lambda each: sum(_free(kinds, each))
        )
        times = min(have // use for have, use in zip(left, counts, strict=True) if use)
        loads.append(PackedBins(counts, times))
        left = [have - times * use for have, use in zip(left, counts, strict=True)]
    return tuple(loads) if sum(load.bins for load in loads) <= bins else None


class _Exact:
    """Depth-first search over fillings of one GPU after another, within a budget of steps."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._kinds = kinds
        self._steps = EXACT_STEPS
        self._failed: set[tuple[tuple[int, ...], int]] = set()

    def solve(self, bins: int) -> tuple[PackedBins, ...] | None:
        return self._solve(tuple(kind.count for kind in self._kinds), bins)

    def _solve(self, left: tuple[int, ...], bins: int) -> tuple[PackedBins, ...] | None:
        if not any(left):
            return ()
        if (left, bins) in self._failed or _least_bins(self._kinds, left) > bins:
            return None
        for counts in _fillings(self._kinds, left):
            self._steps -= 1
            if self._steps < 0:
                return None
            rest = tuple(have - use for have, use in zip(left, counts, strict=True))
            further = self._solve(rest, bins - 1)
            if further is not None:
                return (PackedBins(counts, 1), *further)
        self._failed.add((left, bins))
        return None


def _fillings(kinds: Sequence[Kind], left: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Maximal contents of one GPU that include a largest item left, fullest in large items first.

    Some packing into the fewest GPUs is made of such contents: whatever still fits beside the
    largest item may be moved there from another GPU.
    """
    order = [index for index in _largest_first(kinds) if left[index]]
    first = order[0]

    def extend(
        position: int, counts: tuple[int, ...], compute: int, memory: int
    ) -> Iterator[tuple[int, ...]]:
        if position == len(order):
            spare = (
                counts[index] < left[index] and _fits(kinds[index], compute, memory)
                for index in order
            )
            if not any(spare):
                yield counts
            return
        kind = kinds[order[position]]
        most = min(left[order[position]], _fits(kind, compute, memory))
        for count in range(most, int(order[position] == first) - 1, -1):
            yield from extend(
                position + 1,
                _plus(counts, order[position], count),
                compute - count * kind.compute,
                memory - count * kind.memory,
            )

    yield from extend(0, (0,) * len(kinds), WHOLE + ROUNDING, WHOLE + ROUNDING)


def _largest_first(kinds: Sequence[Kind]) -> list[int]:
    return sorted(range(len(kinds)), key=lambda index: kinds[index].size, reverse=True)


def _least_bins(kinds: Sequence[Kind], left: Sequence[int]) -> int:
    """No packing needs fewer."""
    compute = sum(kind.compute * count for kind, count in zip(kinds, left, strict=True))
    memory = sum(kind.memory * count for kind, count in zip(kinds, left, strict=True))
    return -(-max(compute, memory) // (WHOLE + ROUNDING))


def _free(kinds: Sequence[Kind], counts: Sequence[int]) -> tuple[int, int]:
    compute = sum(kind.compute * count for kind, count in zip(kinds, counts, strict=True))
    memory = sum(kind.memory * count for kind, count in zip(kinds, counts, strict=True))
    return WHOLE + ROUNDING - compute, WHOLE + ROUNDING - memory


def _fits(kind: Kind, compute: int, memory: int) -> int:
    return min(compute // max(kind.compute, 1), memory // max(kind.memory, 1))


def _plus(counts: tuple[int, ...], index: int, more: int) -> tuple[int, ...]:
    return (*counts[:index], counts[index] + more, *counts[index + 1 :])
