"""Places allocations in which some replicas take a GPU share of each of several GPUs.

A replica of TP degree t runs on a row: t consecutive GPUs of one NVLink domain whose first index is
a multiple of t. The rows of a domain form a binary tree, as in a buddy allocator. Best fit
decreasing places the widest replicas first, each into the fullest row that has room. Where that
fails and there are few replicas, an exact search with a limited number of steps is tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scepsy.core.cluster import Cluster
from scepsy.core.plan import Infeasible, LlmAllocation
from scepsy.place.domains import Gpu
from scepsy.place.packing import EXACT_ITEMS, EXACT_STEPS, ROUNDING, WHOLE

EXACT_GPUS = 64
"""GPUs of a cluster up to which the exact search is tried: its states grow with their number."""
Ints = NDArray[np.int64]
Groups = dict[str, list[tuple[Gpu, ...]]]
Free = tuple[tuple[int, int], ...]
"""Compute and memory left on every GPU."""


@dataclass(frozen=True, slots=True)
class _Size:
    """The replicas of one LLM: TP degree, and packing units (`WHOLE` in a GPU) on each GPU."""

    part: LlmAllocation
    tp: int
    compute: int
    memory: int


def takes_part_of_a_group(part: LlmAllocation) -> bool:
    return part.tp > 1 and part.gpu_share < 1


def place_groups(parts: Sequence[LlmAllocation], cluster: Cluster) -> Groups | Infeasible:
    """The GPUs of every replica, in the order of the parts."""
    domains = [
        tuple(Gpu(node.name, index) for index in domain)
        for node in cluster.nodes
        for domain in node.domains
    ]
    width = 1 << (max(map(len, domains), default=1) - 1).bit_length()
    gpus = [one for domain in domains for one in (*domain, *[None] * (width - len(domain)))]
    free = np.array([[WHOLE + ROUNDING if gpu else 0 for gpu in gpus]] * 2, dtype=np.int64)
    widest = max(parts, key=lambda part: part.tp)
    if widest.tp > width:
        return _does_not_fit(widest)
    sizes = sorted(map(_size, parts), key=lambda size: (-size.tp, -size.compute - size.memory))
    rows = _best_fit(sizes, free.copy(), width)
    if isinstance(rows, _Size):
        few = sum(part.replicas for part in parts) <= EXACT_ITEMS and len(gpus) <= EXACT_GPUS
        exact = _Exact(sizes, width).solve(free) if few and rows.tp <= width else None
        if exact is None:
            return _does_not_fit(rows.part)
        rows = exact
    found: Groups = {part.llm: [] for part in parts}
    for size, numbers in zip(sizes, rows, strict=True):
        for row in numbers:
            taken = gpus[row * size.tp : (row + 1) * size.tp]
            found[size.part.llm].append(tuple(gpu for gpu in taken if gpu is not None))
    return found


def _size(part: LlmAllocation) -> _Size:
    """A replica on whole GPUs gets all of their memory."""
    memory = 1.0 if part.gpu_share >= 1 else part.memory_share
    return _Size(part, part.tp, round(part.gpu_share * WHOLE), round(memory * WHOLE))


def _best_fit(sizes: Sequence[_Size], free: Ints, width: int) -> list[list[int]] | _Size:
    """By size, the row of every replica; or the first size whose replicas do not all fit."""
    found: list[list[int]] = []
    for size in sizes:
        fits = _fits(size, free)
        order = np.lexsort(_fullest_first(size.tp, free, width))
        before = np.concatenate([[0], np.cumsum(fits[order])[:-1]])
        taken = np.clip(size.part.replicas - before, 0, fits[order])
        if taken.sum() < size.part.replicas:
            return size
        found.append(np.repeat(order, taken).tolist())
        used = np.zeros_like(fits)
        used[order] = taken
        free -= np.repeat(used, size.tp) * np.array([[size.compute], [size.memory]])
    return found


def _fits(size: _Size, free: Ints) -> Ints:
    """By row, the number of replicas of a size for which it has room."""
    compute, memory = free.reshape(2, -1, size.tp).min(axis=2)
    return np.minimum(compute // size.compute, memory // size.memory)


def _fullest_first(tp: int, free: Ints, width: int) -> list[Ints]:
    """Sort keys of every row for `np.lexsort`, in which the last key is the primary one: the free
    units in the row, in the row of twice its width that contains it, and so on up to its domain.
    """
    total = free.sum(axis=0)
    keys: list[Ints] = []
    span = tp
    while span <= width:
        around = total.reshape(-1, span).sum(axis=1)
        keys.append(np.repeat(around, span // tp))
        span *= 2
    return keys[::-1]


class _Exact:
    """Branch and bound, one replica at a time, with a limited number of steps."""

    def __init__(self, sizes: Sequence[_Size], width: int) -> None:
        self._sizes, self._width = sizes, width
        self._items = [size for size in sizes for _ in range(size.part.replicas)]
        self._steps = EXACT_STEPS
        self._failed: set[tuple[int, tuple[Free, ...]]] = set()

    def solve(self, free: Ints) -> list[list[int]] | None:
        pairs = tuple((int(compute), int(memory)) for compute, memory in free.T)
        rows = self._solve(0, pairs)
        if rows is None:
            return None
        taken = iter(rows)
        return [[next(taken) for _ in range(size.part.replicas)] for size in self._sizes]

    def _solve(self, index: int, free: Free) -> tuple[int, ...] | None:
        if index == len(self._items):
            return ()
        state = index, self._shape(free)
        if state in self._failed:
            return None
        size = self._items[index]
        for row in range(len(free) // size.tp):
            first, stop = row * size.tp, (row + 1) * size.tp
            if any(c < size.compute or m < size.memory for c, m in free[first:stop]):
                continue
            self._steps -= 1
            if self._steps < 0:
                return None
            less = tuple((c - size.compute, m - size.memory) for c, m in free[first:stop])
            further = self._solve(index + 1, free[:first] + less + free[stop:])
            if further is not None:
                return (row, *further)
        self._failed.add(state)
        return None

    def _shape(self, free: Free) -> tuple[Free, ...]:
        """A canonical form: equal for free units that differ only in the order of domains and rows,
        so that symmetric states are searched once.
        """
        return tuple(sorted(_sorted(free[at : at + self._width]) for at in self._domains(free)))

    def _domains(self, free: Free) -> range:
        return range(0, len(free), self._width)


def _sorted(free: Free) -> Free:
    if len(free) == 1:
        return free
    half = len(free) // 2
    one, other = sorted((_sorted(free[:half]), _sorted(free[half:])))
    return one + other


def _does_not_fit(part: LlmAllocation) -> Infeasible:
    each = f"{part.gpu_share:g} of a GPU and {part.memory_share:g} of its memory"
    row = f"on each of {part.tp} GPUs in a row of one NVLink domain" if part.tp > 1 else "on one"
    return Infeasible(
        "nvlink_domain" if part.tp > 1 else "gpus",
        f"{part.replicas} x {part.llm} need {each} {row}; not all of them find so much room beside "
        "the wider ones",
    )
