"""What judges the frameworks, and two of them for real; `make frameworks` runs all."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "experiments" / "frameworks"))

import envs  # noqa: E402
import quickstart  # noqa: E402
import table  # noqa: E402
import unlabelled  # noqa: E402
from scenarios import in_mode, words  # noqa: E402
from truth import Untold, judge  # noqa: E402
from upstream import emulated  # noqa: E402

from scepsy.core.trace import Call, Layer  # noqa: E402

WORDS = ("zqalpha", "zqbeta", "zqgamma")


def call(number: int, word: str, run: str, layer: Layer = "header") -> Call:
    return Call(
        call=str(number),
        run=run,
        workflow="w",
        llm="m",
        endpoint="chat",
        start=float(number),
        end=number + 1.5,
        status=200,
        layer=layer,
        request=f'{{"messages": "about {word}"}}',
    )


@given(st.lists(st.sampled_from(WORDS), min_size=6, max_size=30), st.integers(0, 1000))
def test_right_is_exact_and_one_wrong_call_is_seen(order: list[str], seed: int) -> None:
    right = [call(number, word, f"run-{word}") for number, word in enumerate(order)]
    row = judge("f", "1", "tasks+", WORDS, right)
    assert (row.attributed, row.misattributed) == (len(order), 0)
    assert row.n_exact
    assert row.p_exact
    assert not table.wrong([row])
    position = random.Random(seed).randrange(len(order))
    others = [word for word in order if word != order[position]]
    if not others:
        return
    right[position] = call(position, order[position], f"run-{others[0]}")
    moved = judge("f", "1", "tasks+", WORDS, right)
    assert moved.misattributed >= 1
    assert table.wrong([moved])


def test_a_run_split_in_two_is_not_exact_and_a_call_without_run_is_left_out() -> None:
    calls = [call(0, "zqalpha", "a"), call(1, "zqalpha", "b"), call(2, "zqbeta", "", "none")]
    row = judge("f", "1", "tasks auto", WORDS, calls)
    assert (row.calls, row.attributed, row.misattributed, row.runs) == (3, 2, 0, 2)
    assert not row.n_exact
    assert table.wrong([row]) == ""
    assert "2 runs seen" in table.sure_lines([row])[-1]


@pytest.mark.parametrize("text", ["nobody", "zqalpha and zqbeta"])
def test_a_prompt_of_no_run_or_two_proves_nothing(text: str) -> None:
    with pytest.raises(Untold):
        judge("f", "1", "one", WORDS, [call(0, text, "a")])


def test_every_framework_has_pins_a_program_and_a_quickstart_of_ten_lines() -> None:
    quickstarts = quickstart.blocks((ROOT / "docs" / "guides" / "frameworks.md").read_text())
    programs = {path.stem.removesuffix("_agent") for path in (envs.HERE / "programs").iterdir()}
    assert set(envs.names()) == set(quickstarts) == programs - {"__pycache__"}
    for name, (_, program) in quickstarts.items():
        assert quickstart.length(program) <= quickstart.MOST_LINES, name
        assert envs.version(name)[0].isdigit()


def test_the_text_between_marks_is_replaced() -> None:
    page = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n"
    assert table.between(page, "x", ["1", "2"]) == "a\n<!-- x -->\n1\n2\n<!-- /x -->\nb\n"
    assert len(set(words(50))) == 50


def test_templates_sent_no_call_of_the_ten_to_a_wrong_run() -> None:
    """As recorded by `make frameworks`; what it could not tell is refused, not guessed."""
    content = (ROOT / "docs" / "evaluation" / "frameworks-unlabelled.json").read_bytes()
    rows = msgspec.json.decode(content, type=list[unlabelled.Row])
    assert {row.framework for row in rows} == set(envs.names())
    assert sum(row.misattributed for row in rows) == 0
    assert all("% off" not in unlabelled.exactness(row) for row in rows)
    assert all(row.runs is not None or row.refused for row in rows)


@pytest.mark.e2e
async def test_real_frameworks_through_the_gateway() -> None:
    """LangGraph (chat, a graph) and pydantic-ai (responses, plain code), six runs at once."""
    async with emulated() as bench:
        for name, modes in {
            "langgraph": ("serve", "tasks+", "threads+"),
            "pydantic_ai": ("serve", "tasks+"),
        }.items():
            pytest.importorskip(name, reason="a dev dependency")
            host = [sys.executable, str(envs.HERE / "host.py"), name]
            rows = [await in_mode(name, mode, host, bench) for mode in modes]
            assert table.wrong(rows) == ""
            assert {row.concurrent_runs for row in rows} == {6}
