"""Which calls go first: tells engines, of each call, when its run began."""

from __future__ import annotations

from dataclasses import dataclass, field

from scepsy.gateway.identity.lru import Recent
from scepsy.routing.choose import priority

MOST_RUNS = 65_536


@dataclass(slots=True)
class Precedence:
    """Remembers when each run was first heard of. Keeps no clock."""

    _began: Recent[str, float] = field(default_factory=lambda: Recent[str, float](MOST_RUNS))

    def of(self, run: str | None, arrived: float) -> int:
        """The priority of a call that came at `arrived`; without a run it stands for itself."""
        if run is None:
            return priority(arrived)
        began = self._began.get(run)
        if began is None:
            began = arrived
            self._began.put(run, began)
        return priority(began)
