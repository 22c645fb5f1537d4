"""Places replicas where some take a part of each of several GPUs.

Such a group of t GPUs lies beside others on t GPUs of one NVLink domain in a row, counted from a
multiple of t. Free room is thus a tree per domain, and best fit goes down it: widest replicas
first, each into the fullest row that has room. Where that fails and the replicas are few, a bounded
exact search over what is left in every row.
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
Ints = NDArray[np.int64]
Groups = dict[str, list[tuple[Gpu, ...]]]
Free = tuple[tuple[int, int], ...]
"""Compute and memory left on every GPU."""


@dataclass(frozen=True, slots=True)
class _Kind:
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
        return _no_room(widest)
    kinds = sorted(map(_kind, parts), key=lambda kind: (-kind.tp, -kind.compute - kind.memory))
    rows = _best_fit(kinds, free.copy(), width)
    if isinstance(rows, _Kind):
        few = sum(part.replicas for part in parts) <= EXACT_ITEMS and len(gpus) <= EXACT_GPUS
        exact = _Exact(kinds, width).solve(free) if few and rows.tp <= width else None
        if exact is None:
            return _no_room(rows.part)
        rows = exact
    found: Groups = {part.llm: [] for part in parts}
    for kind, numbers in zip(kinds, rows, strict=True):
        for row in numbers:
            taken = gpus[row * kind.tp : (row + 1) * kind.tp]
            found[kind.part.llm].append(tuple(gpu for gpu in taken if gpu is not None))
    return found


def _kind(part: LlmAllocation) -> _Kind:
    """A replica that takes all of a GPU's compute gets all of its memory."""
    memory = 1.0 if part.gpu_share >= 1 else part.memory_share
    return _Kind(part, part.tp, round(part.gpu_share * WHOLE), round(memory * WHOLE))


def _best_fit(kinds: Sequence[_Kind], free: Ints, width: int) -> list[list[int]] | _Kind:
    """By kind, the row of every replica; or the kind that found no room."""
    found: list[list[int]] = []
    for kind in kinds:
        fits = _fits(kind, free)
        order = np.lexsort(_fullest_first(kind.tp, free, width))
        before = np.concatenate([[0], np.cumsum(fits[order])[:-1]])
        taken = np.clip(kind.part.replicas - before, 0, fits[order])
        if taken.sum() < kind.part.replicas:
            return kind
        found.append(np.repeat(order, taken).tolist())
        used = np.zeros_like(fits)
        used[order] = taken
        free -= np.repeat(used, kind.tp) * np.array([[kind.compute], [kind.memory]])
    return found


def _fits(kind: _Kind, free: Ints) -> Ints:
    """How many replicas of a kind each row holds."""
    compute, memory = free.reshape(2, -1, kind.tp).min(axis=2)
    return np.minimum(compute // kind.compute, memory // kind.memory)


def _fullest_first(tp: int, free: Ints, width: int) -> list[Ints]:
    """Keys of every row, the weightiest last: what is free in it, in the row of twice its width
    around it, and so on up to its domain.
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
    """Depth-first search, replica by replica, within a budget of steps."""

    def __init__(self, kinds: Sequence[_Kind], width: int) -> None:
        self._kinds, self._width = kinds, width
        self._items = [kind for kind in kinds for _ in range(kind.part.replicas)]
        self._steps = EXACT_STEPS
        self._failed: set[tuple[int, tuple[Free, ...]]] = set()

    def solve(self, free: Ints) -> list[list[int]] | None:
        pairs = tuple((int(compute), int(memory)) for compute, memory in free.T)
        rows = self._solve(0, pairs)
        if rows is None:
            return None
        taken = iter(rows)
        return [[next(taken) for _ in range(kind.part.replicas)] for kind in self._kinds]

    def _solve(self, index: int, free: Free) -> tuple[int, ...] | None:
        if index == len(self._items):
            return ()
        state = index, self._shape(free)
        if state in self._failed:
            return None
        kind = self._items[index]
        for row in range(len(free) // kind.tp):
            first, stop = row * kind.tp, (row + 1) * kind.tp
            if any(c < kind.compute or m < kind.memory for c, m in free[first:stop]):
                continue
            self._steps -= 1
            if self._steps < 0:
                return None
            less = tuple((c - kind.compute, m - kind.memory) for c, m in free[first:stop])
            further = self._solve(index + 1, free[:first] + less + free[stop:])
            if further is not None:
                return (row, *further)
        self._failed.add(state)
        return None

    def _shape(self, free: Free) -> tuple[Free, ...]:
        """The same for rooms that differ only in the order of equal rows."""
        return tuple(sorted(_sorted(free[at : at + self._width]) for at in self._domains(free)))

    def _domains(self, free: Free) -> range:
        return range(0, len(free), self._width)


def _sorted(free: Free) -> Free:
    if len(free) == 1:
        return free
    half = len(free) // 2
    one, other = sorted((_sorted(free[:half]), _sorted(free[half:])))
    return one + other


def _no_room(part: LlmAllocation) -> Infeasible:
    each = f"{part.gpu_share:g} of a GPU and {part.memory_share:g} of its memory"
    row = f"on each of {part.tp} GPUs in a row of one NVLink domain" if part.tp > 1 else "on one"
    return Infeasible(
        "nvlink_domain" if part.tp > 1 else "gpus",
        f"{part.replicas} x {part.llm} need {each} {row}; not all of them find so much room beside "
        "the wider ones",
    )
