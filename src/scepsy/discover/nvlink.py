"""NVLink domains of a node from its links (pure)."""

from __future__ import annotations

from collections.abc import Set
from itertools import combinations

Links = Set[tuple[int, int]]
"""Pairs of numbers of GPUs that NVLink joins, the lower number first."""


def domain_size(linked: Links, gpus: int) -> int:
    """The largest number of GPUs such that in every group of so many neighbours, counted from
    GPU 0, NVLink joins each with each. The last group may be smaller.
    """
    for size in range(gpus, 1, -1):
        if _within(gpus, size) <= linked:
            return size
    return 1


def odd_links(linked: Links, gpus: int, size: int) -> list[tuple[int, int]]:
    """The links that leave their domain of `size` GPUs."""
    return sorted(linked - _within(gpus, size))


def _within(gpus: int, size: int) -> set[tuple[int, int]]:
    return {
        pair
        for first in range(0, gpus, size)
        for pair in combinations(range(first, min(first + size, gpus)), 2)
    }
