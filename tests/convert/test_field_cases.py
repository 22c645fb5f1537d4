"""Inputs made after public bug reports give their right values."""

from __future__ import annotations

from pathlib import Path

import pytest

from scepsy.convert import Imported, assemble, detect, spans_of
from scepsy.store import read_foreign

CASES = Path(__file__).parent.parent / "assets" / "foreign" / "cases"
RIGHT: dict[str, list[tuple[int | None, int | None]]] = {
    # Prompt and output tokens of every call. The files of T02 have six spans each: in both runs two
    # calls below the span of an agent, which has no attributes at all and is no call.
    "T01_spans.json": [(900, 120)] * 3,
    "T02_0-chat.completions.json": [(700, 90), (800, 90)] * 2,
    "T02_1-responses.json": [(700, 90), (800, 90)] * 2,
    "T02_2-acompletion.json": [(700, 90), (800, 90)] * 2,
    "T02_3-text.completions.json": [(700, 90), (800, 90)] * 2,
    "T03_console.txt": [(8, 9), (None, None)],
    "T03_console.jsonl": [(8, 9), (None, None)],
    "T05_call-end0.json": [(70, 9)] * 5,
    "T05_call-skew.json": [(70, 9)] * 6,
    "T05_other-end0.json": [(70, 9)] * 5,
    "T05_other-skew.json": [(70, 9)] * 5,
    "T06_old-usage.json": [(310, 42)],
    "T06_openai-keys.json": [(310, 42)],
    "T06_sdk-openai-keys.json": [(310, 42)],
    "T06_sdk-zero.json": [(310, None)],  # 42.5 output tokens, which are no count
    "T08_minus-one.json": [(70, 9), (70, None), *[(70, 9)] * 4],
    "T08_nan.jsonl": [(None, 12), (20, 12)],
    "T08_strings.json": [(70, 9), (None, 9), (70, 9)],
    "T14_aisdk.json": [(12, None), (700, 90), (700, 90)] * 2,
    "T15_old.jsonl": [(300, 40), (310, 41)],
    "P06_both0.json": [(None, None)] * 6,
    "P06_in0.json": [(None, 40)] * 6,
    "P06_out0.json": [(500, None)] * 6,
}


def imported(name: str) -> Imported:
    parts = list(read_foreign(CASES / name))
    return assemble(
        spans_of(detect(parts[:20]), parts),
        workflow=None,
        fallback="f",
        llm=None,
        findings=parts[0].findings,
    )


@pytest.mark.parametrize("name", RIGHT)
def test_tokens_of_every_call(name: str) -> None:
    calls = sorted(imported(name).calls, key=lambda call: call.start)
    assert [(call.prompt_tokens, call.output_tokens) for call in calls] == RIGHT[name]


@pytest.mark.parametrize("name", ["T03_console.txt", "T03_console.jsonl"])
def test_a_failed_call_stays_failed(name: str) -> None:
    calls = sorted(imported(name).calls, key=lambda call: call.start)
    assert [call.ok for call in calls] == [True, False]


def test_what_was_skipped_or_not_believed_is_said() -> None:
    assert imported("T01_spans.json").skipped["database"] == 6
    assert imported("T02_1-responses.json").skipped == {"agent": 2}
    assert [one.reason for one in imported("T05_call-end0.json").left_out] == [
        "an LLM call that never ended"
    ]
    [finding] = imported("T08_strings.json").unknown
    assert "'None'" in finding.places[0]
