"""Calls of no known run: counted by the templates of known ones, never mixed."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from builders import call
from scepsy.cli.traces import command
from scepsy.core.trace import OPENING_WORDS, Call, Trace
from scepsy.errors import BadInput
from scepsy.gateway.identity.prompt_openings import goes_on, openings
from scepsy.gateway.wire.prompts import prompt_text
from scepsy.store import TraceWriter, read_traces
from scepsy.traces.templates import learn
from scepsy.traces.unattributed import attribute

TEMPLATES = {
    "plan": "system: You plan.\nuser: Make a plan for",
    "draft": "system: You write.\nuser: Write about",
    "check": "user: Review the following text about",
    "tool": "system: You plan.\nuser: Make a plan for",
}
LLMS = {"plan": "big", "draft": "big", "check": "small", "tool": "big"}


@dataclass(frozen=True)
class Program:
    """Stages in order: how often each; a range is drawn anew for each run."""

    workflow: str = "w"
    stages: tuple[tuple[str, int, int], ...] = (
        ("plan", 1, 1),
        ("tool", 0, 2),
        ("check", 3, 3),
        ("draft", 2, 2),
    )

    def run(self, run: str, topic: str, rng: random.Random, *, sure: bool) -> Trace:
        """One after another, a second each; fan-outs together."""
        calls: list[Call] = []
        at = 0.0
        for stage, least, most in self.stages:
            for _ in range(rng.randint(least, most)):
                prompt = f"{TEMPLATES[stage]} {topic} {len(calls)}"
                calls.append(
                    call(
                        LLMS[stage],
                        at,
                        at + 1.0,
                        call=f"{run}-{len(calls)}",
                        run=run if sure else "",
                        workflow=self.workflow,
                        layer="header" if sure else "none",
                        openings=openings(prompt, stage == "tool"),
                    )
                )
                at += 0.0 if stage == "check" else 1.0
            at += 1.0 if stage == "check" else 0.0
        return Trace(run=run, workflow=self.workflow, start=0, end=at, calls=tuple(calls))


def known(program: Program, count: int = 6, topics: Sequence[str] = ()) -> list[Trace]:
    rng = random.Random(0)
    return [
        program.run(f"known-{n}", topics[n] if topics else f"topic{n}", rng, sure=True)
        for n in range(count)
    ]


def moved(trace: Trace, by: float) -> list[Call]:
    return [
        msgspec.structs.replace(one, start=one.start + by, end=one.end + by) for one in trace.calls
    ]


@given(
    seed=st.integers(0, 10_000),
    starts=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    cut=st.lists(st.integers(0, 9), max_size=8),
    same=st.booleans(),
)
def test_runs_are_never_mixed_however_they_overlap_or_break_off(
    seed: int, starts: list[int], cut: list[int], same: bool
) -> None:
    """Runs at any times, some broken off after a few calls; with `same`, all of one topic."""
    program, rng = Program(), random.Random(seed)
    pool: list[Call] = []
    for number, start in enumerate(starts):
        run = program.run(f"r{number}", "topic" if same else f"new{number}", rng, sure=False)
        calls = moved(run, start)
        pool += calls[: cut[number]] if number < len(cut) else calls
    rng.shuffle(pool)
    found = attribute(known(program), pool)
    for run in found.runs:
        assert len({one.call.split("-")[0] for one in run.calls}) == 1
        assert {one.layer for one in run.calls} == {"template"}
        assert all(0 < one.confidence < 0.7 for one in run.calls)
    assert found.left + sum(len(run.calls) for run in found.runs) == len(pool)


@given(seed=st.integers(0, 10_000), starts=st.lists(st.integers(0, 40), min_size=1, max_size=8))
def test_calls_per_run_are_exact_however_whole_runs_overlap(seed: int, starts: list[int]) -> None:
    program, rng = Program(), random.Random(seed)
    runs = [program.run(f"r{n}", f"new{n}", rng, sure=False) for n in range(len(starts))]
    pool = [one for run, start in zip(runs, starts, strict=True) for one in moved(run, start)]
    [total] = attribute(known(program), pool).totals
    counts = Counter(one.llm for one in pool)
    assert total.runs == len(runs)
    assert {one.llm: one.n for one in total.llms} == {
        llm: count / len(runs) for llm, count in counts.items()
    }
    spent = {one.llm: one.time_share for one in total.llms}
    assert spent == pytest.approx({llm: count / len(pool) for llm, count in counts.items()})


@given(seed=st.integers(0, 10_000), count=st.integers(1, 6), same=st.booleans())
def test_whole_runs_one_after_another_are_all_told_apart(seed: int, count: int, same: bool) -> None:
    program, rng = Program(), random.Random(seed)
    pool: list[Call] = []
    for number in range(count):
        run = program.run(f"r{number}", "topic" if same else f"new{number}", rng, sure=False)
        pool += moved(run, 0.0 if not pool else max(one.end for one in pool))
    found = attribute(known(program), pool)
    assert len(found.runs) == count
    assert found.left == 0


def test_a_question_that_some_known_runs_share_is_no_part_of_the_template() -> None:
    topics = ["what is a knapsack and why", "what is a knapsack and why", *"abcd"]
    templates = learn(known(Program(), topics=topics))
    words = {stage.words for stage in templates.stages}
    assert max(words) <= 8
    assert templates.fixed("w")


def test_a_stage_of_two_workflows_is_refused() -> None:
    one, other = Program(), Program("v", (("check", 3, 3), ("draft", 1, 1)))
    pool = moved(one.run("r", "new", random.Random(1), sure=False), 0.0)
    found = attribute([*known(one), *known(other)], pool)
    [total] = found.totals
    assert {one.llm: one.n for one in total.llms} == {"big": None}  # the plan is w's alone
    assert found.runs == ()
    assert any("like stages of v and w: their workflow is ambiguous" in n for n in found.notes)


def test_what_is_too_little_to_go_by_is_said() -> None:
    pool = moved(Program().run("r", "new", random.Random(1), sure=False), 0.0)
    [total] = attribute(known(Program(), 3), pool).totals
    assert total.runs is None
    assert total.refused == ("n: only 3 runs are known to learn from; 5 are needed",)
    wild = Program(stages=(("plan", 1, 3), ("draft", 0, 3)))
    [total] = attribute(
        known(wild), moved(wild.run("r", "n", random.Random(1), sure=False), 0)
    ).totals
    assert total.refused == ("n: no stage is called equally often in every known run",)
    halves = [one for one in pool if one.llm == "big"] * 4
    renamed = [msgspec.structs.replace(one, call=str(n)) for n, one in enumerate(halves)]
    [total] = attribute(known(Program()), renamed).totals
    assert "indicate between 0 and 4 runs" in total.refused[0]
    nobody = attribute([], pool)
    assert nobody.totals == ()
    assert nobody.notes[0].startswith("calls that begin like no known stage: ")


def test_calls_of_strangers_make_n_unknown_but_not_the_others() -> None:
    pool = moved(Program().run("r", "new", random.Random(1), sure=False), 0.0)
    strange = call("small", 50, 51, call="s", layer="none", openings=openings("a b c d", False))
    [total] = attribute(known(Program()), [*pool, strange]).totals
    assert {one.llm: one.n is None for one in total.llms} == {"big": False, "small": True}
    assert total.refused == ("n of small: the workflow of 1 of its calls is unknown",)


def test_a_conversation_that_goes_on_opens_otherwise() -> None:
    begun = {"messages": [{"role": "user", "content": "a b c"}]}
    on = {"messages": [*begun["messages"], {"role": "assistant", "content": "d"}]}
    item = {"input": [{"type": "function_call_output", "output": "x"}]}
    assert [goes_on(one) for one in (begun, on, item)] == [False, True, True]
    assert goes_on({"previous_response_id": "r"})
    first, second = (openings(prompt_text("chat", one), goes_on(one)) for one in (begun, on))
    assert not set(first) & set(second)


@given(st.lists(st.text("ab ", max_size=8), max_size=300), st.integers(0, 300))
def test_prompts_that_begin_alike_open_alike(words: list[str], same: int) -> None:
    one, other = " ".join(words), " ".join([*words[:same], "zz", *words[same:]])
    alike = len(" ".join(words[:same]).split())
    pairs = zip(OPENING_WORDS, openings(one, False), openings(other, False), strict=False)
    assert all((a == b) == (count <= alike) for count, a, b in pairs)


def test_the_command_shows_and_writes_attributed_runs(tmp_path: Path) -> None:
    program, rng = Program(), random.Random(2)
    with TraceWriter(tmp_path / "known") as writer:
        for trace in known(program):
            for one in trace.calls:
                writer.append(one)
    at = 0.0
    with TraceWriter(tmp_path / "bare") as writer:
        for number in range(3):
            for one in (calls := moved(program.run(f"r{number}", "x", rng, sure=False), at)):
                writer.append(one)
            at = max(one.end for one in calls)

    def traces(*arguments: object) -> str:
        done = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    like = ("--like", tmp_path / "known")
    shown = traces(tmp_path / "bare", *like, "--attributed", tmp_path / "told")
    assert "22 calls of no certain run come from 3 runs of w (confidence 0.3)" in shown
    assert "3 whole runs with 22 calls were found; 0 calls are in none of them" in shown
    assert {run.calls[0].layer for run in read_traces(tmp_path / "told").traces} == {"template"}
    found = json.loads(traces(tmp_path / "bare", *like, "--json"))["unattributed"]
    assert (found["totals"][0]["runs"], found["calls_left"], len(found["runs"])) == (3, 0, 3)
    told_runs = json.loads(traces(tmp_path / "told", "--json"))["demands"]
    assert told_runs[0]["runs"] == 3
    with pytest.raises(BadInput, match=r"--attributed .* holds traces already"):
        traces(tmp_path / "bare", *like, "--attributed", tmp_path / "told")
