"""When bursts and runs arrive, and what is kept on disk of a round."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import call, trace
from scepsy.curves.bursts import Stream, bursts_of
from scepsy.curves.rounds import Round, Sample
from scepsy.errors import BadInput
from scepsy.profiler.fit_steps import step_time
from scepsy.profiler.replay.schedule import arrival_times, load_seen, schedule
from scepsy.profiler.round_log import RoundLog


def stream_of(*lengths: int) -> Stream:
    """Runs of so many bursts of two calls, a burst every two seconds."""
    runs = [
        trace(
            *(
                call("a", 2 * b, 2 * b + 1, run=f"r{r}", call=f"{r}/{b}/{i}")
                for b in range(length)
                for i in range(2)
            ),
            run=f"r{r}",
        )
        for r, length in enumerate(lengths)
    ]
    return Stream({"w": bursts_of(runs, "a")}, {"w": 1.0})


@given(
    st.lists(st.integers(1, 8), min_size=1, max_size=5),
    st.floats(1, 40),
    st.booleans(),
    st.sampled_from(["poisson", "recorded"]),
    st.integers(0, 9),
)
def test_the_rate_is_offered_in_whole_chains(
    lengths: list[int], rate: float, whole: bool, gaps: str, seed: int
) -> None:
    stream, seconds = stream_of(*lengths), 10.0
    arrivals = schedule(
        stream, rate, seconds, whole=whole, gaps=gaps, rng=random.Random(seed)  # pyright: ignore
    )  # fmt: skip
    assert [a.at for a in arrivals] == sorted(a.at for a in arrivals)
    assert all(a.at >= 0 for a in arrivals)
    runs = {run[0].run: run for run in stream.runs["w"]}
    for arrival in arrivals:
        run = runs[arrival.chain[0].run]
        tail = run[len(run) - len(arrival.chain) :]
        assert arrival.chain == tail if whole else len(arrival.chain) == 1
    due = [arrival.due(seconds) for arrival in arrivals]
    offered = load_seen(due) if whole else sum(due)
    assert offered == pytest.approx(rate * seconds, rel=0.25, abs=2 * max(lengths))


def test_the_load_that_calls_see_is_that_of_an_endless_stream() -> None:
    """Each call takes a second, and as long again for each call of another run that was sent in the
    second before it: 1 + rate on average in an endless stream. In rounds that hold some three runs
    of six calls the mean over calls is that at the load seen, and not at the rate that was offered.
    """
    stream, seconds = stream_of(3), 10.0
    latency: list[float] = []
    seen: list[float] = []
    offered: list[float] = []
    for seed in range(300):
        drawn = schedule(stream, 2, seconds, whole=True, gaps="poisson", rng=random.Random(seed))
        sent = [
            (unit, arrival.at + burst.start - arrival.chain[0].start)
            for unit, arrival in enumerate(drawn)
            for burst in arrival.chain
            for _ in burst.calls
        ]
        sent = [(unit, at) for unit, at in sent if at < seconds]
        samples = tuple(
            Sample(
                "w",
                unit,
                at,
                1.0 + sum(other != unit and at - 1 < t <= at for other, t in sent),
                1,
                1,
            )
            for unit, at in sent
        )
        one = Round(
            key="k", kind="runs", rate=2, number=seed, seconds=seconds, wall=10, samples=samples
        )
        counted = [sample for sample in one.after(0.25) if sample.sent >= 1]
        latency += [sample.latency for sample in counted]
        seen += [one.load_seen([sample]) for sample in counted]
        offered += [len(samples) / seconds] * len(counted)
    assert fmean(latency) == pytest.approx(1 + fmean(seen), rel=0.03)
    assert fmean(latency) < 0.85 * (1 + fmean(offered))


def test_runs_are_under_way_when_a_round_begins() -> None:
    """Runs of 20 s in a round of 10 s: as many calls in its first half as in its second."""
    halves = [0, 0]
    for seed in range(20):
        for arrival in schedule(
            stream_of(10), 10, 10, whole=True, gaps="poisson", rng=random.Random(seed)
        ):
            first = arrival.due(5)
            halves[0] += first
            halves[1] += arrival.due(10) - first
    assert halves[0] == pytest.approx(halves[1], rel=0.1)


@given(
    st.integers(1, 50),
    st.floats(0.1, 1000),
    st.lists(st.integers(0, 1000).map(float), max_size=20),
    st.integers(0, 99),
)
def test_arrivals_fill_the_span_in_order(
    count: int, span: float, gaps: list[float], seed: int
) -> None:
    times = arrival_times(count, span, gaps, random.Random(seed))
    assert len(times) == count
    assert times == sorted(times)
    assert all(0 <= time <= span * (1 + 1e-9) for time in times)


def test_recorded_gaps_keep_their_proportions() -> None:
    times = arrival_times(4, 8.0, [1.0, 3.0], random.Random(0))
    apart = {round(b - a, 9) for a, b in pairwise(times)}
    assert apart == {1.0, 3.0}


def a_round(number: int) -> Round:
    return Round(
        key="k",
        kind="bursts",
        rate=0.1 + 0.2,
        number=number,
        seconds=1.0,
        wall=1.5,
        samples=(Sample("w", 0, 0.1, 0.2, 3, 4, 0.05, 1),),
    )


def test_a_journal_keeps_whole_rounds_and_forgets_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    with RoundLog(path) as journal:
        for number in range(3):
            journal.append(a_round(number))
    whole = path.read_bytes()
    for cut in (1, 20, len(whole) // 3 - 1):
        path.write_bytes(whole[:-cut])
        with RoundLog(path) as journal:
            assert journal.rounds("k") == [a_round(0), a_round(1)]
            assert journal.rounds("other") == []
            journal.append(a_round(2))
        assert path.read_bytes() == whole
    with RoundLog(path) as journal:
        journal.remove()
    assert not path.exists()


def test_a_journal_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text("{}\n{}\n")
    with pytest.raises(BadInput, match=r"p.jsonl:1"):
        RoundLog(path)


def test_step_time_is_found_again() -> None:
    """Calls of an engine whose step is known: alone, and by the dozen."""
    fixed, prefill, sequence, kv = 0.01, 2e-5, 1e-3, 1e-6
    samples: list[Round] = []
    for number, together in enumerate((1, 1, 4, 8, 12, 12)):
        made: list[Sample] = []
        for unit in range(10):
            rng = random.Random(f"{number}/{unit}")
            prompts = [rng.randrange(200, 4000) for _ in range(together)]
            ttft = fixed + prefill * sum(prompts)
            context = sum(prompt + 50 for prompt in prompts)
            tpot = fixed + sequence * together + kv * context
            made += [
                Sample("w", unit, 100.0 * unit, ttft + 99 * tpot, 100, prompt, ttft)
                for prompt in prompts
            ]
        kind = "idle" if together == 1 else "bursts"
        samples.append(
            Round(key="k", kind=kind, rate=together, number=0, seconds=1000, wall=1000,
                  samples=tuple(made))
        )  # fmt: skip
    found = step_time(samples)
    assert found is not None
    assert found.error < 0.01
    assert found.fixed == pytest.approx(fixed, rel=0.05)
    assert found.prefill_token == pytest.approx(prefill, rel=0.05)
    assert found.sequence == pytest.approx(sequence, rel=0.05)
    assert found.kv_token == pytest.approx(kv, rel=0.05)


def test_too_few_calls_give_no_step_time() -> None:
    assert step_time([a_round(0)]) is None
