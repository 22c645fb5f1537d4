"""The active runs of a caller's address and workflow: runs with an open call, or one that ended
less than the quiet gap ago.

Bounded: quiet runs are dropped, and so are the oldest beyond a limit. It has no clock.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from scepsy.gateway.identity.lru import Recent

CALLERS_MAX = 4_096  # pairs of a caller's address and a workflow that are remembered
RUNS_PER_CALLER_MAX = 4_096  # runs of such a pair that are remembered
_SWEEP_MIN = 64  # below this number of runs, quiet ones are removed only when asked

R = TypeVar("R", bound=Hashable)


@dataclass(slots=True)
class _Activity:
    open: int = 0
    last_end: float = 0.0


@dataclass(slots=True)
class _CallerRuns(Generic[R]):
    runs: dict[R, _Activity] = field(default_factory=dict[R, _Activity])
    sweep_at: int = _SWEEP_MIN


@dataclass(slots=True)
class ActiveRuns(Generic[R]):
    """`quiet_gap`: seconds without a call after which a run is over."""

    quiet_gap: float
    _callers: Recent[tuple[str, str], _CallerRuns[R]] = field(
        default_factory=lambda: Recent(CALLERS_MAX)
    )

    def began(self, caller: tuple[str, str], run: R, now: float) -> None:
        """A call of the run began."""
        self._activity(caller, run, now).open += 1

    def ended(self, caller: tuple[str, str], run: R, now: float) -> None:
        """A call of the run ended."""
        activity = self._activity(caller, run, now)
        activity.open = max(0, activity.open - 1)
        activity.last_end = now

    def of(self, caller: tuple[str, str], now: float) -> list[R]:
        """The runs with an open call, or with one that ended less than the gap ago."""
        known = self._callers.get(caller)
        if known is None:
            return []
        self._sweep(known, now)
        return list(known.runs)

    def _activity(self, caller: tuple[str, str], run: R, now: float) -> _Activity:
        known = self._callers.get(caller)
        if known is None:
            known = _CallerRuns[R]()
            self._callers.put(caller, known)
        activity = known.runs.get(run)
        if activity is not None:
            return activity
        if len(known.runs) >= known.sweep_at:
            self._sweep(known, now)
            # Twice the number that is left, so that sweeping costs each new run a constant time.
            known.sweep_at = max(_SWEEP_MIN, min(2 * len(known.runs), RUNS_PER_CALLER_MAX))
            while len(known.runs) >= RUNS_PER_CALLER_MAX:
                del known.runs[next(iter(known.runs))]
        return known.runs.setdefault(run, _Activity())

    def _sweep(self, known: _CallerRuns[R], now: float) -> None:
        for run, seen in list(known.runs.items()):
            if seen.open == 0 and now - seen.last_end > self.quiet_gap:
                del known.runs[run]
