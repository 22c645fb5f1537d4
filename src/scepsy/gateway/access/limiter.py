"""Whether a call of a key may begin now (pure: time is an argument).

Rates are token buckets that hold one minute's worth. Each gateway process counts on its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from scepsy.gateway.access.api_keys import ApiKey, KeyLimits

RUN_IDLE = 60.0
"""Seconds without a call after which a run counts as ended."""

_SECONDS_MIN = 1.0
"""Shortest wait that a refused caller is told."""


@dataclass(frozen=True, slots=True)
class KeyedCall:
    """A call as far as limits are concerned. `run` is unique to the call where none is known."""

    llm: str
    workflow: str
    run: str


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """The key may never make this call; `what` names the field."""

    what: str
    name: str


@dataclass(frozen=True, slots=True)
class TooMuch:
    """The key may make this call later. `retry_after` is in seconds, at the earliest."""

    what: str
    limit: float
    retry_after: float


Decision = NotAllowed | TooMuch | None
"""None admits the call."""


@dataclass(slots=True)
class Bucket:
    """Holds up to a minute's worth, and fills evenly. It may be overdrawn."""

    per_minute: float
    level: float
    at: float

    @property
    def size(self) -> float:
        return max(1.0, self.per_minute)

    def fill(self, now: float) -> None:
        gained = max(0.0, now - self.at) * self.per_minute / 60
        self.level, self.at = min(self.size, self.level + gained), max(self.at, now)

    def wait_for(self, amount: float) -> float:
        """Seconds until it holds the amount."""
        return max(0.0, amount - self.level) * 60 / self.per_minute


@dataclass(slots=True)
class _Run:
    calls: int = 0
    ended: float = 0.0


@dataclass(slots=True)
class _Use:
    """What a key has done, under the limits that it had then."""

    limits: KeyLimits
    requests: Bucket | None
    tokens: Bucket | None
    calls: int = 0
    runs: dict[str, _Run] = field(default_factory=dict[str, _Run])


@dataclass(slots=True)
class Limiter:
    """Counts the calls of every key. Each call that `decide` admits must end with `ended`."""

    _uses: dict[str, _Use] = field(default_factory=dict[str, _Use])

    def decide(self, key: ApiKey, call: KeyedCall, now: float) -> Decision:
        """Whether the call may begin; if so, it is counted. A refused call costs nothing."""
        limits = key.limits
        for what, name, allowed in (
            ("model", call.llm, limits.llms),
            ("workflow", call.workflow, limits.workflows),
        ):
            if allowed is not None and name not in allowed:
                return NotAllowed(what, name)
        use = self._use(key, now)
        refused = _too_much(use, call, now)
        if refused is not None:
            return refused
        if use.requests is not None:
            use.requests.level -= 1
        use.calls += 1
        use.runs.setdefault(call.run, _Run()).calls += 1
        return None

    def ended(self, key: ApiKey, call: KeyedCall, tokens: int, now: float) -> None:
        """An admitted call has ended, and used that many tokens."""
        use = self._use(key, now)
        use.calls -= 1
        if use.tokens is not None:
            use.tokens.level -= tokens
        run = use.runs[call.run]
        run.calls, run.ended = run.calls - 1, now

    def _use(self, key: ApiKey, now: float) -> _Use:
        use = self._uses.get(key.id)
        if use is None:
            use = self._uses[key.id] = _Use(key.limits, None, None)
            _set_rates(use, now)
        elif use.limits != key.limits:
            use.limits = key.limits
            _set_rates(use, now)
        for bucket in (use.requests, use.tokens):
            if bucket is not None:
                bucket.fill(now)
        gone = [
            name for name, one in use.runs.items() if not one.calls and now - one.ended >= RUN_IDLE
        ]
        for name in gone:
            del use.runs[name]
        return use


def _set_rates(use: _Use, now: float) -> None:
    limits = use.limits
    use.requests = _bucket(limits.requests_per_minute, now)
    use.tokens = _bucket(limits.tokens_per_minute, now)


def _bucket(per_minute: float | None, now: float) -> Bucket | None:
    return None if per_minute is None else Bucket(per_minute, max(1.0, per_minute), now)


def _too_much(use: _Use, call: KeyedCall, now: float) -> TooMuch | None:
    limits = use.limits
    if limits.calls_at_once is not None and use.calls >= limits.calls_at_once:
        return TooMuch("calls at once", limits.calls_at_once, _SECONDS_MIN)
    runs = limits.runs_at_once
    if runs is not None and call.run not in use.runs and len(use.runs) >= runs:
        ends = (one.ended + RUN_IDLE - now for one in use.runs.values() if not one.calls)
        return TooMuch("runs at once", runs, max(_SECONDS_MIN, min(ends, default=RUN_IDLE)))
    for what, bucket, amount in (
        ("requests per minute", use.requests, 1.0),
        ("tokens per minute", use.tokens, math.ulp(0.0)),
    ):
        if bucket is not None and bucket.level < amount:
            wait = max(bucket.wait_for(max(amount, 1e-9)), 1e-3)
            return TooMuch(what, bucket.per_minute, wait)
    return None
