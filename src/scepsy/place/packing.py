"""Two-dimensional vector bin packing: packs GPU shares (items) onto GPUs (bins).

Items of one type are equal, so every step works on the number of items per type, and thousands of
replicas take no longer than a few. Best fit decreasing is tried first. Where it fails, minimum bin
slack is tried (Gupta and Ho, "A new heuristic algorithm for the one-dimensional bin-packing
problem", 1999). Where that fails and there are few items, an exact search with a limited number of
steps is tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

WHOLE = 10**12
"""Units in a GPU. Shares are rounded to integers, so that ten shares of 0.1 are one GPU."""
ROUNDING = 500
"""Units by which the shares on a GPU may exceed it, because each was rounded: 5e-10 of a GPU."""
PATTERNS_MAX = 2000
"""Patterns (contents of one GPU) that the heuristic compares for each GPU; they bound its time."""
EXACT_ITEMS = 48
"""Items up to which the exact search is tried: with more it seldom ends within its steps."""
EXACT_STEPS = 5000
"""Steps of the exact search: GPUs for which a pattern is chosen. They bound its time."""


@dataclass(frozen=True, slots=True)
class ItemType:
    """`count` items that each take `compute` and `memory` units of one GPU."""

    compute: int
    memory: int
    count: int

    @property
    def size(self) -> tuple[int, int]:
        return max(self.compute, self.memory), self.compute + self.memory


@dataclass(frozen=True, slots=True)
class PackedBins:
    """`bins` GPUs with the same pattern: each holds `counts[k]` items of type k."""

    counts: tuple[int, ...]
    bins: int


@dataclass(frozen=True, slots=True)
class Leftover:
    """`count` items of type `item_type` did not fit.

    Attributes:
        item_type: index of the type.
        count: number of these items.
        compute: free units of compute on the GPU with the most room.
        memory: free units of memory on the same GPU.
    """

    item_type: int
    count: int
    compute: int
    memory: int


def pack(types: Sequence[ItemType], bins: int) -> tuple[PackedBins, ...] | Leftover:
    """The patterns of at most `bins` GPUs that hold every item; or the items for which best fit
    decreasing found no room.
    """
    answer = _best_fit(types, bins)
    if isinstance(answer, tuple):
        return answer
    if _bins_lower_bound(types, [item_type.count for item_type in types]) > bins:
        return answer
    filled = _minimum_bin_slack(types, bins)
    if filled is None and sum(item_type.count for item_type in types) <= EXACT_ITEMS:
        filled = _Exact(types).solve(bins)
    return filled or answer


def _best_fit(types: Sequence[ItemType], bins: int) -> tuple[PackedBins, ...] | Leftover:
    """Best fit decreasing: the largest items first, each into the fullest GPU that has room."""
    loads: list[PackedBins] = []
    for index in _largest_first(types):
        left = types[index].count
        loads.sort(key=lambda load: sum(_free(types, load.counts)))
        grown: list[PackedBins] = []
        for load in [
            *loads,
            PackedBins((0,) * len(types), bins - sum(load.bins for load in loads)),
        ]:
            parts, left = _add(types, load, index, left)
            grown.extend(parts)
        if left:
            free = [_free(types, load.counts) for load in grown] or [(0, 0)]
            return Leftover(index, left, *max(free, key=min))
        loads = [load for load in grown if any(load.counts)]
    return tuple(loads)


def _add(
    types: Sequence[ItemType], load: PackedBins, index: int, left: int
) -> tuple[list[PackedBins], int]:
    """Adds up to `left` items of a type to GPUs with one pattern. Returns the new patterns, and the
    number of items that are left.
    """
    each = min(_fits(types[index], *_free(types, load.counts)), left)
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


def _minimum_bin_slack(types: Sequence[ItemType], bins: int) -> tuple[PackedBins, ...] | None:
    """Minimum bin slack: fills one GPU after another with the largest item that is left, and with
    the other items that leave the fewest units free.
    """
    left = [item_type.count for item_type in types]
    loads: list[PackedBins] = []
    while any(left):
        counts = min(
            islice(_patterns(types, left), PATTERNS_MAX), key=lambda each: sum(_free(types, each))
        )
        times = min(have // use for have, use in zip(left, counts, strict=True) if use)
        loads.append(PackedBins(counts, times))
        left = [have - times * use for have, use in zip(left, counts, strict=True)]
    return tuple(loads) if sum(load.bins for load in loads) <= bins else None


class _Exact:
    """Branch and bound over the pattern of one GPU after another, in a limited number of steps."""

    def __init__(self, types: Sequence[ItemType]) -> None:
        self._types = types
        self._steps = EXACT_STEPS
        self._failed: set[tuple[tuple[int, ...], int]] = set()

    def solve(self, bins: int) -> tuple[PackedBins, ...] | None:
        return self._solve(tuple(item_type.count for item_type in self._types), bins)

    def _solve(self, left: tuple[int, ...], bins: int) -> tuple[PackedBins, ...] | None:
        if not any(left):
            return ()
        if (left, bins) in self._failed or _bins_lower_bound(self._types, left) > bins:
            return None
        for counts in _patterns(self._types, left):
            self._steps -= 1
            if self._steps < 0:
                return None
            rest = tuple(have - use for have, use in zip(left, counts, strict=True))
            further = self._solve(rest, bins - 1)
            if further is not None:
                return (PackedBins(counts, 1), *further)
        self._failed.add((left, bins))
        return None


def _patterns(types: Sequence[ItemType], left: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Maximal patterns of one GPU that include a largest item, those with most large items first.

    Some packing into the fewest GPUs consists of such patterns, because any item that still fits
    beside the largest item can be moved there from another GPU (dominance).
    """
    order = [index for index in _largest_first(types) if left[index]]
    first = order[0]

    def extend(
        position: int, counts: tuple[int, ...], compute: int, memory: int
    ) -> Iterator[tuple[int, ...]]:
        if position == len(order):
            spare = (
                counts[index] < left[index] and _fits(types[index], compute, memory)
                for index in order
            )
            if not any(spare):
                yield counts
            return
        item_type = types[order[position]]
        most = min(left[order[position]], _fits(item_type, compute, memory))
        for count in range(most, int(order[position] == first) - 1, -1):
            yield from extend(
                position + 1,
                _plus(counts, order[position], count),
                compute - count * item_type.compute,
                memory - count * item_type.memory,
            )

    yield from extend(0, (0,) * len(types), WHOLE + ROUNDING, WHOLE + ROUNDING)


def _largest_first(types: Sequence[ItemType]) -> list[int]:
    return sorted(range(len(types)), key=lambda index: types[index].size, reverse=True)


def _bins_lower_bound(types: Sequence[ItemType], left: Sequence[int]) -> int:
    """A lower bound on the number of GPUs: the sum of compute or of memory, whichever is larger."""
    compute = sum(one.compute * count for one, count in zip(types, left, strict=True))
    memory = sum(one.memory * count for one, count in zip(types, left, strict=True))
    return -(-max(compute, memory) // (WHOLE + ROUNDING))


def _free(types: Sequence[ItemType], counts: Sequence[int]) -> tuple[int, int]:
    compute = sum(one.compute * count for one, count in zip(types, counts, strict=True))
    memory = sum(one.memory * count for one, count in zip(types, counts, strict=True))
    return WHOLE + ROUNDING - compute, WHOLE + ROUNDING - memory


def _fits(item_type: ItemType, compute: int, memory: int) -> int:
    return min(compute // max(item_type.compute, 1), memory // max(item_type.memory, 1))


def _plus(counts: tuple[int, ...], index: int, more: int) -> tuple[int, ...]:
    return (*counts[:index], counts[index] + more, *counts[index + 1 :])
