"""The driver starts every run when due, counts what fails, and leaves nothing running."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import pytest
from openai import AsyncOpenAI

from openai_like import openai_like
from scepsy.core.trace import RunMark
from scepsy.drive import DriveInterrupted, DriveProgress, Workload, drive
from scepsy.drive.workload import AFTER_WINDOW
from scepsy.errors import BadInput
from scepsy.marking import RUN_HEADER, WORKFLOW_HEADER


@pytest.mark.slow
async def test_measures_every_workload_at_its_rate() -> None:
    seen: Counter[object] = Counter()

    async def quick(value: str) -> None:
        seen[value] += 1

    async def slow(*, value: int) -> None:
        await asyncio.sleep(0.05)

    loads = [
        Workload("quick", quick, 40.0, ["a", "b", "c"]),
        Workload("slow", slow, 20.0, [{"value": 1}]),
    ]
    found = await drive(loads, duration=1.0, warmup=0.2, seed=3)
    first, second = found.workflows
    assert (first.workflow, first.offered, first.completed, first.failed) == ("quick", 40, 40, 0)
    assert (second.workflow, second.offered, second.completed) == ("slow", 20, 20)
    assert first.offered_rate == 40
    assert second.latency_mean is not None
    assert second.latency_mean >= 0.05
    assert set(seen) == {"a", "b", "c"}
    assert all(0 <= run.arrival <= 1 for run in first.runs)


async def test_does_not_wait_for_earlier_runs() -> None:
    together = asyncio.Barrier(5)
    found = await drive([Workload("w", together.wait, 10.0)], duration=0.5, seed=0)
    assert found.workflows[0].completed == 5


async def test_load_is_held_until_the_last_measured_run_has_ended() -> None:
    started = 0
    enough = asyncio.Event()

    async def until_enough() -> None:
        nonlocal started
        started += 1
        if started >= 15:
            enough.set()
        await enough.wait()

    found = await drive([Workload("w", until_enough, 50.0)], duration=0.1, seed=0)
    assert found.workflows[0].completed == 5
    assert started >= 15


async def test_a_run_that_fails_is_told_in_its_own_words() -> None:
    calls = 0

    async def failing() -> None:
        nonlocal calls
        calls += 1
        match calls:
            case 1:
                raise ValueError("no such thing")
            case 2:
                sys.exit(3)
            case 3:
                raise asyncio.CancelledError
            case 4:
                raise TimeoutError("the tool is slow")
            case 5:
                await asyncio.sleep(60)
            case _:
                return

    found = await drive([Workload("w", failing, 6.0)], duration=1.0, timeout=0.05)
    flow = found.workflows[0]
    assert (flow.completed, flow.failed) == (1, 5)
    assert [run.error for run in flow.runs] == [
        "ValueError: no such thing",
        "SystemExit: 3",
        "CancelledError",
        "TimeoutError: the tool is slow",
        "took longer than 0.05 s",
        None,
    ]


@pytest.mark.slow
async def test_runs_are_marked_each_as_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async with openai_like() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        async with AsyncOpenAI(api_key="k") as client:

            async def two_calls() -> None:
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(2):
                        tasks.create_task(client.chat.completions.create(model="m", messages=[]))

            found = await drive([Workload("agent", two_calls, 8.0)], duration=1.0)
    assert found.workflows[0].completed == 8
    assert {headers[WORKFLOW_HEADER] for _, headers, _ in server.requests} == {"agent"}
    runs = Counter(headers[RUN_HEADER] for _, headers, _ in server.requests)
    assert sorted(runs.values(), reverse=True)[:8] == [2] * 8


async def test_cancelling_cancels_every_run() -> None:
    running = 0
    three = asyncio.Event()

    async def forever() -> None:
        nonlocal running
        running += 1
        if running == 3:
            three.set()
        try:
            await asyncio.Event().wait()
        finally:
            running -= 1

    driven = asyncio.create_task(drive([Workload("w", forever, 100.0)], duration=10.0))
    await three.wait()
    driven.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driven
    assert running == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_cancelling_gives_what_was_measured() -> None:
    turn = 0
    four = asyncio.Event()

    async def the_first_two_end() -> None:
        nonlocal turn
        turn += 1
        if turn > 2:
            if turn == 4:
                four.set()
            await asyncio.Event().wait()

    async def driven() -> None:
        await drive([Workload("w", the_first_two_end, 50.0)], duration=60.0)

    task = asyncio.create_task(driven())
    await four.wait()
    task.cancel()
    with pytest.raises(DriveInterrupted) as interrupted:
        await task
    result = interrupted.value.result
    (flow,) = result.workflows
    assert result.interrupted
    assert 0 < result.duration < 60
    assert (flow.completed, flow.failed) == (2, 0)
    assert flow.unfinished == flow.offered - 2 >= 2
    assert flow.latency_mean is not None


async def test_every_run_is_noted_the_cancelled_ones_as_such() -> None:
    notes: list[RunMark] = []
    turn = 0

    async def third_fails_later_ones_hang() -> None:
        nonlocal turn
        turn += 1
        if turn == 3:
            raise ValueError("third")
        if turn > 4:
            await asyncio.Event().wait()

    load = Workload("w", third_fails_later_ones_hang, 40.0)
    await drive([load], duration=0.1, seed=0, timeout=0.5, on_run=notes.append)
    assert len(notes) == turn
    assert [note.error for note in notes if not note.ok].count("ValueError: third") == 1
    assert all(note.start <= note.end for note in notes)
    assert {note.workflow for note in notes} == {"w"}


async def test_runs_of_the_tail_do_not_make_recorded_runs_shorter() -> None:
    """The long ones among them are cancelled, so the short ones alone would be recorded."""
    notes: list[RunMark] = []
    begun = 0
    tail_has_ended = asyncio.Event()

    async def every_other_is_long() -> None:
        nonlocal begun
        begun += 1
        if begun <= 8:
            await tail_has_ended.wait()
        elif begun % 2:
            await asyncio.Event().wait()
        elif begun >= 14:
            tail_has_ended.set()

    load = Workload("w", every_other_is_long, 40.0)
    found = await drive([load], duration=0.2, seed=0, on_run=notes.append)
    measured = {run.run for run in found.workflows[0].runs}
    assert len(measured) == 8
    assert {note.run for note in notes if note.ok} == measured
    ended = [note for note in notes if note.error == AFTER_WINDOW]
    assert len(ended) >= 3


async def test_tells_its_progress() -> None:
    told: list[DriveProgress] = []

    async def nothing() -> None:
        return

    loads = [Workload("w", nothing, 10.0)]
    await drive(loads, duration=0.5, warmup=0.1, on_progress=told.append)
    assert [progress.completed for progress in told] == sorted(p.completed for p in told)
    assert told[-1].completed >= 5
    assert told[0].total == 0.6


@pytest.mark.parametrize(
    ("rates", "duration", "message"),
    [
        ([], 1.0, "no workflow"),
        ([0.1], 1.0, "no run"),
        ([-1.0], 1.0, "no run"),
        ([float("nan")], 1.0, "no run"),
        ([1.0, 1.0], 1.0, "more than once"),
        ([1.0], 0.0, "cannot measure"),
        ([1.0], float("inf"), "cannot measure"),
    ],
)
async def test_refuses_what_gives_no_measurement(
    rates: list[float], duration: float, message: str
) -> None:
    async def nothing() -> None:
        return

    with pytest.raises(BadInput, match=message):
        await drive([Workload("w", nothing, rate) for rate in rates], duration=duration)
