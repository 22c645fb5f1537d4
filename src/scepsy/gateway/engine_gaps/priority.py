"""The priority of each call in an engine's queue: calls of runs that began earlier go first."""

from __future__ import annotations

from dataclasses import dataclass, field

from scepsy.gateway.identity.lru import Recent
from scepsy.routing.choose import priority

RUNS_MAX = 65_536  # runs whose beginning is remembered; the one used longest ago is forgotten


def _size(run: str, _: float) -> int:
    return len(run)


@dataclass(slots=True)
class RunPriorities:
    """Remembers when each run was first seen. It has no clock."""

    _began: Recent[str, float] = field(default_factory=lambda: Recent(RUNS_MAX, _size))

    def of(self, run: str | None, arrived: float) -> int:
        """The priority of a call that arrived at `arrived`. A call without a run counts as its own
        run.
        """
        if run is None:
            return priority(arrived)
        began = self._began.get(run, arrived)
        if began is None:
            began = arrived
            self._began.put(run, began, arrived)
        return priority(began)
