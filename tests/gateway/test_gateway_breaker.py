"""Properties of the circuit breaker, and of what tells a hung replica from a busy one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scepsy.gateway.upstreams.breaker import FAILURES_MAX, TRIAL_MAX, WAIT_MAX, WAIT_MIN, Breaker
from scepsy.gateway.upstreams.vitals import ReplicaVitals, WaitLimits, Waits

Event = Literal["send", "answer", "fail", "lose", "leave", "well", "unwell"]
EVENTS = ("send", "answer", "fail", "lose", "leave", "well", "unwell")


@dataclass
class Traffic:
    """Calls that a gateway sends through a breaker, as long as it allows them."""

    breaker: Breaker = field(default_factory=Breaker)
    now: float = 0.0
    trials: int = 0

    def take(self, event: Event) -> None:
        breaker = self.breaker
        match event:
            case "send":
                if breaker.allows:
                    self.trials += breaker.sent(self.now)
            case "answer":
                breaker.answered()
                self.trials = 0
            case "fail":
                breaker.failed(self.now)
            case "lose":
                breaker.lost(self.now)
            case "leave":
                if self.trials:
                    breaker.trial_ended()
                    self.trials = 0
            case "well" | "unwell":
                breaker.probed(self.now, healthy=event == "well")
        if breaker.state != "half-open":
            self.trials = 0


steps = st.lists(st.tuples(st.floats(0, 10), st.sampled_from(EVENTS)), max_size=60)


@given(steps)
def test_a_half_open_breaker_has_one_trial_at_a_time(taken: list[tuple[float, Event]]) -> None:
    traffic = Traffic()
    for seconds, event in taken:
        traffic.now += seconds
        traffic.take(event)
        assert traffic.trials <= 1
        assert traffic.breaker.allows == (
            traffic.breaker.state == "closed"
            or (traffic.breaker.state == "half-open" and not traffic.trials)
        )


@given(steps)
def test_no_history_keeps_a_healthy_replica_out_for_ever(taken: list[tuple[float, Event]]) -> None:
    traffic = Traffic()
    for seconds, event in taken:
        traffic.now += seconds
        traffic.take(event)
    breaker = traffic.breaker
    breaker.probed(traffic.now + WAIT_MAX, healthy=True)
    assert breaker.state != "open"
    if not breaker.allows:  # its trial is long in coming
        breaker.probed(traffic.now + WAIT_MAX + TRIAL_MAX, healthy=True)
    assert breaker.allows
    breaker.answered()
    assert breaker.state == "closed"


@given(st.integers(1, 20))
def test_it_opens_after_failures_in_a_row(failures: int) -> None:
    breaker = Breaker()
    for _ in range(failures):
        breaker.failed(0.0)
    assert breaker.allows == (failures < FAILURES_MAX)
    breaker.answered()
    assert breaker.allows
    for _ in range(FAILURES_MAX - 1):
        breaker.failed(0.0)
    assert breaker.allows


def test_closed_open_half_open_closed() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_MAX):
        breaker.failed(0.0)
    assert breaker.state == "open"
    breaker.probed(WAIT_MIN / 2, healthy=True)
    assert breaker.state == "open"
    breaker.probed(WAIT_MIN, healthy=False)
    assert breaker.state == "open"
    breaker.probed(WAIT_MIN, healthy=True)
    assert (breaker.state, breaker.allows) == ("half-open", True)
    assert breaker.sent(WAIT_MIN)
    assert not breaker.allows
    assert not breaker.sent(WAIT_MIN)
    breaker.answered()
    assert (breaker.state, breaker.allows) == ("closed", True)


def test_each_failed_trial_doubles_the_wait_up_to_a_bound() -> None:
    breaker, now, waits = Breaker(), 0.0, list[float]()
    breaker.lost(now)
    for _ in range(10):
        opened = now
        while breaker.state == "open":
            breaker.probed(now, healthy=True)
            now += 0.0 if breaker.state == "half-open" else 0.25
        waits.append(now - opened)
        breaker.sent(now)
        breaker.lost(now)
    assert waits == [0, 1, 2, 4, 8, 16, 30, 30, 30, 30]


def test_a_slow_trial_of_a_healthy_replica_does_not_keep_others_out() -> None:
    breaker = Breaker()
    breaker.lost(0.0)
    breaker.probed(0.0, healthy=True)
    breaker.sent(0.0)
    breaker.probed(TRIAL_MAX / 2, healthy=True)
    assert not breaker.allows
    breaker.probed(TRIAL_MAX, healthy=True)
    assert breaker.allows
    breaker.failed(TRIAL_MAX)  # it is on probation
    assert not breaker.allows


LIMITS = WaitLimits(5.0, 3.0, 15.0, 1800.0, 300.0)


@pytest.mark.parametrize(
    ("waits", "asks"),
    [
        (Waits(), False),
        (Waits(first=96.0), False),
        (Waits(first=95.0), True),
        (Waits(first=1.0, heard=96.0), False),  # bytes for other calls prove that it lives
        (Waits(first=1.0, heard=95.0), True),
        (Waits(next=98.0), False),
        (Waits(next=97.0), True),
    ],
)
def test_its_health_is_asked_when_calls_wait_and_it_is_silent(waits: Waits, asks: bool) -> None:
    assert ReplicaVitals().asks(waits, LIMITS, 100.0) == asks


@given(st.lists(st.booleans(), max_size=30))
def test_a_replica_that_answers_its_health_check_never_hangs(answers: list[bool]) -> None:
    """One that never does hangs after `hung_after`, and not before."""
    vitals, waits, now = ReplicaVitals(), Waits(first=0.0), 10.0
    since = None
    for answered in answers:
        if answered:
            vitals.answered(now)
            since = None
        else:
            vitals.missed(now)
            since = now if since is None else since
        now += 1.0
        assert vitals.hangs(waits, LIMITS, now) == (since is not None and now - since >= 15.0)


def test_a_silent_replica_without_calls_hangs_for_nobody() -> None:
    vitals = ReplicaVitals()
    vitals.missed(0.0)
    assert not vitals.hangs(Waits(), LIMITS, 100.0)
    assert not vitals.hangs(Waits(first=90.0), LIMITS, 100.0)
    assert vitals.hangs(Waits(first=90.0), LIMITS, 105.0)
    assert not vitals.hangs(Waits(first=90.0, heard=math.nextafter(0, 1)), LIMITS, 105.0)
