"""The limits of API keys: token buckets and counts, as properties."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scepsy.gateway.access.api_keys import ApiKey, KeyLimits
from scepsy.gateway.access.limiter import RUN_IDLE, KeyedCall, Limiter, NotAllowed, TooMuch

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["call", "end"]),
        st.floats(0, 30),  # seconds since the step before
        st.integers(0, 3),  # run
        st.integers(0, 500),  # tokens
    ),
    max_size=60,
)


def key(**limits: object) -> ApiKey:
    return ApiKey(id="k", name="n", hashes=(), limits=KeyLimits(**limits))  # pyright: ignore


def call(run: object = 0, llm: str = "m", workflow: str = "w") -> KeyedCall:
    return KeyedCall(llm, workflow, str(run))


@dataclass
class History:
    """Plays steps against a limiter, and remembers what happened when."""

    of: ApiKey
    limiter: Limiter = field(default_factory=Limiter)
    now: float = 1000.0
    running: list[KeyedCall] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)
    used: list[tuple[float, int]] = field(default_factory=list)

    def play(self, steps: list[tuple[str, float, int, int]]) -> None:
        for what, seconds, run, tokens in steps:
            self.now += seconds
            if what == "call":
                self.call(call(run))
            elif self.running:
                self.limiter.ended(self.of, self.running.pop(0), tokens, self.now)
                self.used.append((self.now, tokens))

    def call(self, one: KeyedCall) -> object:
        decision = self.limiter.decide(self.of, one, self.now)
        if decision is None:
            self.running.append(one)
            self.begun.append(self.now)
        return decision


@given(STEPS, st.floats(0.5, 60))
def test_no_span_has_more_requests_than_a_bucket_and_what_flows_in(
    steps: list[tuple[str, float, int, int]], rate: float
) -> None:
    history = History(key(requests_per_minute=rate))
    history.play(steps)
    for i, first in enumerate(history.begun):
        for j in range(i, len(history.begun)):
            most = max(1.0, rate) + (history.begun[j] - first) * rate / 60
            assert j - i + 1 <= most + 1e-6


@given(STEPS, st.integers(1, 3), st.integers(1, 2))
def test_calls_and_runs_at_once_are_kept(
    steps: list[tuple[str, float, int, int]], calls: int, runs: int
) -> None:
    history = History(key(calls_at_once=calls, runs_at_once=runs))
    for step in steps:
        history.play([step])
        assert len(history.running) <= calls
        assert len({one.run for one in history.running}) <= runs


@given(STEPS, st.floats(1, 1000))
def test_a_key_that_has_overdrawn_its_tokens_waits_until_they_have_flown_in(
    steps: list[tuple[str, float, int, int]], rate: float
) -> None:
    history = History(key(tokens_per_minute=rate))
    level, at = max(1.0, rate), history.now
    for step in steps:
        before, used = len(history.begun), len(history.used)
        history.play([step])
        level = min(max(1.0, rate), level + (history.now - at) * rate / 60)
        at = history.now
        if step[0] == "call" and abs(level) > 1e-6:
            assert (len(history.begun) > before) is (level > 0)
        level -= sum(tokens for _, tokens in history.used[used:])


@given(STEPS, st.floats(0.5, 60), st.floats(1, 500))
def test_who_waits_as_long_as_told_is_let_in(
    steps: list[tuple[str, float, int, int]], requests: float, tokens: float
) -> None:
    history = History(key(requests_per_minute=requests, tokens_per_minute=tokens))
    history.play(steps)
    for _ in range(3):  # one limit after the other may refuse
        decision = history.call(call("late"))
        if decision is None:
            break
        assert isinstance(decision, TooMuch)
        history.now += decision.retry_after * (1 + 1e-9)
    else:
        assert history.call(call("late")) is None


@given(STEPS)
def test_a_refused_call_costs_nothing(steps: list[tuple[str, float, int, int]]) -> None:
    history = History(key(requests_per_minute=10.0, calls_at_once=2))
    twin = History(key(requests_per_minute=10.0, calls_at_once=2))
    for step in steps:
        history.play([step])
        twin.play([step])
        if len(twin.running) == 2:
            assert twin.call(call("again")) is not None
        assert history.begun == twin.begun


def test_names_that_a_key_may_not_use_are_refused_for_good() -> None:
    limiter, one = Limiter(), key(llms=("m",), workflows=("w",))
    assert limiter.decide(one, call(llm="x"), 0.0) == NotAllowed("model", "x")
    assert limiter.decide(one, call(workflow=""), 0.0) == NotAllowed("workflow", "")
    assert limiter.decide(one, call(), 0.0) is None
    assert limiter.decide(key(llms=()), call(), 0.0) == NotAllowed("model", "m")


def test_a_run_that_is_idle_for_a_minute_has_ended() -> None:
    limiter, one = Limiter(), key(runs_at_once=1)
    assert limiter.decide(one, call("a"), 0.0) is None
    assert limiter.decide(one, call("b"), 1.0) == TooMuch("runs at once", 1, RUN_IDLE)
    limiter.ended(one, call("a"), 0, 10.0)
    assert limiter.decide(one, call("b"), 30.0) == TooMuch("runs at once", 1, 40.0)
    assert limiter.decide(one, call("a"), 40.0) is None
    limiter.ended(one, call("a"), 0, 50.0)
    assert limiter.decide(one, call("b"), 50.0 + RUN_IDLE) is None


def test_new_limits_count_at_once_and_calls_in_flight_stay_counted() -> None:
    limiter = Limiter()
    assert limiter.decide(key(), call("a"), 0.0) is None
    assert limiter.decide(key(calls_at_once=1), call("b"), 1.0) == TooMuch("calls at once", 1, 1.0)
    limiter.ended(key(calls_at_once=1), call("a"), 5, 2.0)
    assert limiter.decide(key(calls_at_once=1), call("b"), 2.0) is None


@pytest.mark.parametrize("calls", [1000])
def test_what_is_remembered_is_bounded_by_what_runs(calls: int) -> None:
    limiter, one = Limiter(), key()
    for number in range(calls):
        at = number * (RUN_IDLE / 10)
        assert limiter.decide(one, call(number), at) is None
        limiter.ended(one, call(number), 1, at)
    (use,) = limiter._uses.values()
    assert len(use.runs) <= 11
