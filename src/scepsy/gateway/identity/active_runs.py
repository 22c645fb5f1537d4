"""The active runs of a caller's address and workflow: runs with an open call, or one that ended
less than the quiet gap ago.

Bounded: quiet runs are dropped, and so are the oldest beyond a limit. It has no clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

CALLERS_MAX = 4_096  # pairs of a caller's address and a workflow that are remembered
RUNS_PER_CALLER_MAX = 4_096  # runs of such a pair that are remembered
RUNS_MAX = 32_768  # runs of all pairs together; each has two names of at most 256 bytes
_DROPPED_AT_ONCE = RUNS_PER_CALLER_MAX // 8  # so that the next ones cost no sweep each
_SWEEP_MIN = 64  # below this number of runs, quiet ones are removed only when asked

R = TypeVar("R", bound=Hashable)


@dataclass(slots=True)
class _Activity:
    open: int = 0
    last_end: float = 0.0


@dataclass(slots=True)
class _CallerRuns(Generic[R]):
    open: int = 0
    used: float = 0.0
    runs: dict[R, _Activity] = field(default_factory=dict[R, _Activity])
    sweep_at: int = _SWEEP_MIN


@dataclass(slots=True)
class ActiveRuns(Generic[R]):
    """`quiet_gap`: seconds without a call after which a run is over."""

    quiet_gap: float
    _callers: OrderedDict[tuple[str, str], _CallerRuns[R]] = field(
        default_factory=OrderedDict[tuple[str, str], "_CallerRuns[R]"]
    )
    _runs: int = 0

    def __len__(self) -> int:
        """Number of runs that are remembered."""
        return self._runs

    def began(self, caller: tuple[str, str], run: R, now: float) -> None:
        """A call of the run began."""
        self._activity(caller, run, now).open += 1
        self._callers[caller].open += 1

    def ended(self, caller: tuple[str, str], run: R, now: float) -> None:
        """A call of the run ended."""
        activity = self._activity(caller, run, now)
        if activity.open:
            activity.open -= 1
            self._callers[caller].open -= 1
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
            known = self._callers[caller] = _CallerRuns[R]()
        self._callers.move_to_end(caller)
        known.used = now
        self._forget_callers(caller, now)
        activity = known.runs.get(run)
        if activity is not None:
            return activity
        if len(known.runs) >= known.sweep_at:
            self._sweep(known, now)
            # Twice the number that is left, so that sweeping costs each new run a constant time.
            known.sweep_at = max(_SWEEP_MIN, min(2 * len(known.runs), RUNS_PER_CALLER_MAX))
            if len(known.runs) >= RUNS_PER_CALLER_MAX:
                for oldest in list(known.runs)[:_DROPPED_AT_ONCE]:
                    self._remove(known, oldest)
        self._runs += 1
        known.runs[run] = activity = _Activity(last_end=now)
        return activity

    def _forget_callers(self, current: tuple[str, str], now: float) -> None:
        """Forgets the least recent callers, where they have been quiet or are beyond the limits. A
        caller with an open call goes to the end of the queue, one step for each call.
        """
        oldest, known = next(iter(self._callers.items()))
        if oldest != current and now - known.used > self.quiet_gap:
            if known.open:
                self._callers.move_to_end(oldest)
                self._callers.move_to_end(current)
            else:
                self._forget(oldest)
        while len(self._callers) > CALLERS_MAX or (
            self._runs > RUNS_MAX and len(self._callers) > 1
        ):
            self._forget(next(iter(self._callers)))

    def _forget(self, caller: tuple[str, str]) -> None:
        self._runs -= len(self._callers.pop(caller).runs)

    def _sweep(self, known: _CallerRuns[R], now: float) -> None:
        for run, seen in list(known.runs.items()):
            if seen.open == 0 and now - seen.last_end > self.quiet_gap:
                self._remove(known, run)

    def _remove(self, known: _CallerRuns[R], run: R) -> None:
        known.open -= known.runs.pop(run).open
        self._runs -= 1
