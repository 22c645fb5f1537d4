"""When a process that ended, or hangs, is started again (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scepsy.core.record import Record


class RestartPolicy(Record, frozen=True, kw_only=True):
    """How patient restarts are.

    Attributes:
        hung_after: seconds without an answer to a health check after which a process counts as
            hung.
        first_wait: seconds between the second failure in a row and the restart; the first restart
            comes at once.
        factor: each further wait is this many times as long.
        longest_wait: seconds of the longest wait.
        most: failures in a row after which there are no more restarts.
        steady: seconds of service after which a failure is the first of a new row.
    """

    hung_after: float = 30.0
    first_wait: float = 2.0
    factor: float = 2.0
    longest_wait: float = 120.0
    most: int = 6
    steady: float = 300.0


class Failure(Record, frozen=True, kw_only=True):
    """One end of a process.

    Attributes:
        at: when, in seconds of a clock that is never set: the one that tells when to restart.
        served: seconds that it had been ready before; 0 where it never was.
        why: half a sentence: "it ended", "it did not answer for 30 s".
        last_words: the end of its log.
    """

    at: float
    served: float
    why: str
    last_words: str = ""


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it now."""


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Start it at `at`, in seconds of the clock of the failures."""

    at: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Start it no more: it failed `failures` times in a row."""

    failures: int


def decide(
    failures: Sequence[Failure], now: float, policy: RestartPolicy
) -> Restart | WaitUntil | GiveUp:
    """What to do about a process that does not run. `failures` are all of its failures, the oldest
    first; without any it is started at once. `now` is by the same clock.
    """
    row = in_a_row(failures, policy)
    if row >= policy.most:
        return GiveUp(row)
    if row <= 1:
        return Restart()
    # 1,000 doublings are more than a float has.
    growth = policy.factor ** min(row - 2, 100)
    last = failures[-1].at
    due = last + min(policy.longest_wait, policy.first_wait * growth)
    return Restart() if now >= due else WaitUntil(due)


def in_a_row(failures: Sequence[Failure], policy: RestartPolicy) -> int:
    """The failures since the process last served for as long as is `steady`."""
    row = 0
    for failure in reversed(failures):
        row += 1
        if failure.served >= policy.steady:
            break
    return row
