"""The same choice, faster for many replicas: their loads are kept from one choice to the next."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from scepsy.routing.choose import EXTRA_CALLS_MAX, FACTORS, LOAD_FACTOR_MAX, Loaded, digest, nearest

ARRAY_MIN = 40  # replicas; from here on operations on arrays take less time than a loop

_ROUNDS = tuple(zip(np.array((30, 27), np.uint64), np.array(FACTORS, np.uint64), strict=True))
_LAST = np.uint64(31)


class Fleet:
    """The replicas of one LLM, all healthy, with their current loads. The code that changes a load
    calls `changed`, so that a choice need not ask every replica.
    """

    def __init__(self, replicas: Iterable[Loaded]) -> None:
        known = list(replicas)
        self._capacities = [one.capacity for one in known]
        self._digests = [digest(one.replica) for one in known]
        self._digest_array = np.array(self._digests, np.uint64)
        self._loads = np.array([(one.in_flight + 1) / one.capacity for one in known])

    def changed(self, index: int, in_flight: int) -> None:
        """The replica at `index` has `in_flight` calls now."""
        self._loads[index] = (in_flight + 1) / self._capacities[index]

    def choose(self, affinity: str) -> int:
        """The index that `scepsy.routing.choose.choose` would return."""
        if len(self._digests) < ARRAY_MIN:
            loads = self._loads.tolist()
            return nearest(loads, self._digests, min(loads), affinity)
        weights = self._digest_array ^ np.uint64(digest(affinity))
        _mix(weights)
        weights *= self._loads <= LOAD_FACTOR_MAX * float(self._loads.min()) + EXTRA_CALLS_MAX
        return int(weights.argmax())


def _mix(values: NDArray[np.uint64]) -> None:
    """Turns values into rendezvous weights, in place, as `choose` does with one value."""
    for shift, factor in _ROUNDS:
        values ^= values >> shift
        values *= factor
    values ^= values >> _LAST
