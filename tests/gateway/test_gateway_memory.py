"""What the gateway remembers of runs is bounded in number, in bytes and in age."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scepsy.gateway.engine_gaps.priority import RunPriorities
from scepsy.gateway.identity.active_runs import CALLERS_MAX, RUNS_MAX, ActiveRuns
from scepsy.gateway.identity.labels import Identity
from scepsy.gateway.identity.lineage import Clues, Lineage
from scepsy.gateway.identity.lru import ENTRY_BYTES, REMEMBERED, Recent
from scepsy.gateway.wire.answers import AnswerRecord

DAY = REMEMBERED + 1


@dataclass
class Model:
    """What `Recent` promises, in the plainest way: a list, most recently used last."""

    most: int
    bytes_max: int
    seconds: float
    entries: list[tuple[int, str, float]] = field(default_factory=list)

    def get(self, key: int, now: float) -> str | None:
        self.entries = [one for one in self.entries if now - one[2] <= self.seconds]
        found = next((one for one in self.entries if one[0] == key), None)
        if found is None:
            return None
        self.entries.remove(found)
        self.entries.append((key, found[1], now))
        return found[1]

    def put(self, key: int, value: str, now: float) -> None:
        self.entries = [
            one for one in self.entries if now - one[2] <= self.seconds and one[0] != key
        ]
        if ENTRY_BYTES + len(value) > self.bytes_max:
            return
        self.entries.append((key, value, now))
        while len(self.entries) > self.most or self.size > self.bytes_max:
            self.entries.pop(0)

    @property
    def size(self) -> int:
        return sum(ENTRY_BYTES + len(value) for _, value, _ in self.entries)


@given(
    st.integers(1, 5),
    st.integers(0, 2_000),
    st.lists(
        st.tuples(st.integers(0, 7), st.none() | st.integers(0, 900), st.floats(0, 40)),
        max_size=60,
    ),
)
def test_a_bounded_mapping_keeps_what_was_used_last(
    most: int, bytes_max: int, steps: list[tuple[int, int | None, float]]
):
    """A step reads an entry, or writes one of some bytes, some seconds after the last step."""
    recent = Recent[int, str](most, lambda _, v: len(v), bytes_max=bytes_max, seconds=60.0)
    model = Model(most, bytes_max, 60.0)
    now = 0.0
    for key, size, later in steps:
        now += later
        if size is None:
            assert recent.get(key, now) == model.get(key, now)
        else:
            recent.put(key, "x" * size, now)
            model.put(key, "x" * size, now)
        assert len(recent) == len(model.entries) <= most
        assert recent.bytes == model.size <= bytes_max


def size_of(value: object, seen: set[int] | None = None) -> int:
    """Bytes of an object and of all that it holds."""
    seen = set[int]() if seen is None else seen
    if id(value) in seen:
        return 0
    seen.add(id(value))
    inner: list[object] = []
    if isinstance(value, dict):
        inner = [*value, *value.values()]  # pyright: ignore
    elif isinstance(value, list | tuple | set | frozenset):
        inner = list(value)  # pyright: ignore
    elif not (isinstance(value, str | bytes) or callable(value)):
        names = [*getattr(value, "__slots__", ()), *getattr(value, "__dict__", {})]
        inner = [getattr(value, name, None) for name in names]
    return sys.getsizeof(value) + sum(size_of(one, seen) for one in inner)


@pytest.mark.parametrize("what", ["ids", "opening", "prompt", "answer"])
def test_long_texts_are_not_kept(what: str):
    lineage = Lineage(5.0, "w")
    for number in range(40):
        long = f"{number} " + "x" * 2_000_000
        words = f"{number} " + f"word{number} " * 200_000
        clues = Clues(
            f"10.0.0.{number}",
            prompt=words if what == "prompt" else long if what == "opening" else "p",
        )
        now = 100.0 * number
        identity = lineage.begin(Identity(workflow="w"), clues, now)
        issued = [long] if what == "ids" else []
        lineage.end(identity, clues, now, issued, words if what == "answer" else "")
    assert size_of(lineage) < 5_000_000


def test_all_is_forgotten_after_a_day():
    lineage = Lineage(5.0, "w")
    empty = size_of(lineage)
    words = " ".join(map(str, range(200)))
    for number in range(300):
        trace = f"{number:032x}"
        clues = Clues(f"10.0.{number}.1", ("a",), trace, f"{number} {words}", f"{number}")
        said = Identity(f"r{number}", "w", "header") if number % 2 else Identity()
        identity = lineage.begin(said, clues, float(number))
        lineage.end(identity, clues, number + 1.0, [f"id-{number}"], f"{words} {number}")
    for round_ in range(400):  # any calls make room, those of others, too
        now = DAY + 1_000 + round_
        clues = Clues("10.9.9.9", ("b",), "f" * 32, "q", "q")
        identity = lineage.begin(Identity(), clues, now)
        lineage.end(identity, clues, now, ["b"], "answer")
    assert size_of(lineage) < empty + 50_000


@pytest.mark.parametrize("runs_of_each", [1, 40, 4_000])
def test_runs_of_many_callers_are_bounded_together(runs_of_each: int):
    active = ActiveRuns[str](5.0)
    callers = 60_000 // runs_of_each
    for caller in range(callers):
        for run in range(runs_of_each):
            active.began((f"c{caller}", "w"), f"{caller}/{run}", 0.0)
    assert len(active) <= RUNS_MAX
    assert active.of((f"c{callers - 1}", "w"), 0.0)
    assert size_of(active) < 1_000 * max(RUNS_MAX, CALLERS_MAX)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans(), st.floats(0, 10, width=16)),
        max_size=60,
    )
)
def test_open_runs_are_active_and_quiet_ones_are_not(
    steps: list[tuple[int, int, bool, float]],
):
    active = ActiveRuns[int](5.0)
    opened: dict[tuple[int, int], int] = {}
    ended: dict[tuple[int, int], float] = {}
    now = 0.0
    for caller, run, begins, later in steps:
        now += later
        key = (caller, run)
        if begins:
            active.began((str(caller), "w"), run, now)
            opened[key] = opened.get(key, 0) + 1
            ended.setdefault(key, now)
        elif opened.get(key):
            active.ended((str(caller), "w"), run, now)
            opened[key] -= 1
            ended[key] = now
        for one in range(4):
            expected = {
                run
                for (of, run), count in opened.items()
                if of == one and (count or now - ended[of, run] <= 5.0)
            }
            assert set(active.of((str(one), "w"), now)) == expected
    assert len(active) == sum(len(active.of((str(one), "w"), now)) for one in range(4))


def test_the_age_of_a_run_is_forgotten_a_day_after_its_last_call():
    priorities = RunPriorities()
    first = priorities.of("r", 0.0)
    assert priorities.of("r", DAY - 2) == first
    assert priorities.of("r", 2 * DAY - 4) == first
    assert priorities.of("r", 3 * DAY) > first


def test_an_answer_issues_a_bounded_number_of_ids():
    answer = AnswerRecord()
    calls = ",".join(f'{{"id":"c{number}"}}' for number in range(5_000))
    answer.read_whole(b'{"choices":[{"message":{"tool_calls":[%s]}}]}' % calls.encode())
    assert len(answer.issued) == 1_024
    answer.read_whole(b'{"choices":[{"message":{"content":"%s"}}]}' % (b"x" * 1_000_000))
    assert len(answer.text) == 1 << 16
