"""Routing among many replicas: their loads are kept, not asked for at each choice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from scepsy.routing.choose import FACTORS, NEAR, NEAR_CALLS, Loaded, digest, nearest

MANY = 40
"""For so many replicas or more, operations on arrays take less time than a loop."""

_ROUNDS = tuple(zip(np.array((30, 27), np.uint64), np.array(FACTORS, np.uint64), strict=True))
_LAST = np.uint64(31)


class Fleet:
    """The replicas of one LLM, all healthy, and their loads, which are told as they change: for
    more choices between more replicas than could all be asked each time.
    """

    def __init__(self, replicas: Iterable[Loaded]) -> None:
        known = list(replicas)
        self._capacities = [one.capacity for one in known]
        self._digests = [digest(one.replica) for one in known]
        self._digest_array = np.array(self._digests, np.uint64)
        self._loads = np.array([(one.in_flight + 1) / one.capacity for one in known])

    def changed(self, index: int, in_flight: int) -> None:
        """That replica has so many calls in flight now."""
        self._loads[index] = (in_flight + 1) / self._capacities[index]

    def choose(self, affinity: str) -> int:
        """The index that the function `choose` would give."""
        if len(self._digests) < MANY:
            loads = self._loads.tolist()
            return nearest(loads, self._digests, min(loads), affinity)
        weights = self._digest_array ^ np.uint64(digest(affinity))
        _mix(weights)
        weights *= self._loads <= NEAR * float(self._loads.min()) + NEAR_CALLS
        return int(weights.argmax())


def _mix(values: NDArray[np.uint64]) -> None:
    """Rendezvous weights of each, in place, as `routing` has them of one."""
    for shift, factor in _ROUNDS:
        values ^= values >> shift
        values *= factor
    values ^= values >> _LAST
