"""Bursts, mixtures, synthetic requests and the sweep's arithmetic."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import call, trace
from scepsy.core.trace import BLOCK_CHARS, Call
from scepsy.curves.bursts import Stream, bursts_of, endless
from scepsy.curves.rounds import Sample, TypicalCall, typical
from scepsy.curves.throughput_alone import throughput_alone
from scepsy.profiler.curves import point
from scepsy.profiler.replay.synthesis import request_for
from scepsy.profiler.sweep.next_round import SweepSettings


def test_overlapping_calls_are_one_burst_and_keep_their_offsets() -> None:
    run = trace(call("a", 0, 2), call("a", 0.5, 1), call("b", 0, 9), call("a", 3, 4))
    (bursts,) = bursts_of([run], "a")
    assert [len(burst.calls) for burst in bursts] == [2, 1]
    assert bursts[0].offsets == (0, 0.5)


def test_endless_sends_every_burst_once_per_pass_in_the_runs_order() -> None:
    runs = bursts_of(
        [trace(*(call("a", i, i + 0.5) for i in range(4)), run=f"r{r}") for r in range(3)], "a"
    )
    stream = endless(runs, random.Random(0))
    for number in range(2):
        sent = list(islice(stream, 12))
        assert {n for _, n in sent} == {number}
        for run in runs:
            mine = [burst for burst, _ in sent if burst.run == run[0].run]
            assert Counter(mine) == Counter(run)


def fan_out(workflow: str, width: int) -> Stream:
    """A run of `workflow` is one burst of `width` calls."""
    calls = [call("a", 0, 1, workflow=workflow, call=str(i)) for i in range(width)]
    return Stream({workflow: bursts_of([trace(*calls, workflow=workflow)], "a")}, {workflow: 1.0})


def test_a_mixture_sends_calls_in_the_proportion_of_the_rates() -> None:
    wide, narrow = fan_out("wide", 6), fan_out("narrow", 1)
    both = Stream({**wide.runs, **narrow.runs}, {"wide": 1.0, "narrow": 3.0})
    assert both.calls == {"wide": pytest.approx(6 / 9), "narrow": pytest.approx(3 / 9)}
    assert both.burst_size == pytest.approx(9 / 4)
    sent = Counter(b.workflow for b, _ in islice(both.bursts(random.Random(1)), 4000))
    assert sent["narrow"] / sent["wide"] == pytest.approx(3, rel=0.1)


def test_templates_are_what_several_runs_share_and_the_rest_is_new_each_pass() -> None:
    one = call("a", 0, 1, prompt_blocks=("t", "x"), prompt_chars=2 * BLOCK_CHARS)
    two = call("a", 0, 1, prompt_blocks=("t", "y"), prompt_chars=2 * BLOCK_CHARS)
    runs = bursts_of([trace(one, run="1"), trace(two, run="2")], "a")
    templates = Stream({"w": runs}, {"w": 1.0}).templates()
    assert templates == {"t"}
    first, second = (_text(one, number, templates) for number in (0, 1))
    assert first[:BLOCK_CHARS] == second[:BLOCK_CHARS]
    assert first[BLOCK_CHARS:] != second[BLOCK_CHARS:]
    assert _text(one, 0, templates) == first


def _text(made: Call, number: int, templates: frozenset[str]) -> str:
    _, body = request_for(made, salt=str(number), templates=templates)
    return msgspec.json.decode(body)["messages"][0]["content"]


@given(st.integers(1, 2000), st.integers(1, 12), st.sampled_from(["embeddings", "rerank", "score"]))
def test_synthetic_requests_keep_length_and_items(chars: int, items: int, endpoint: str) -> None:
    blocks = tuple(str(i) for i in range(-(-chars // BLOCK_CHARS)))
    made = call("a", 0, 1, endpoint=endpoint, items=items, prompt_blocks=blocks, prompt_chars=chars)
    path, body = request_for(made, salt="0", templates=frozenset())
    decoded = msgspec.json.decode(body)
    parts = decoded.get("input") or decoded.get("documents") or decoded["text_2"]
    whole = "".join(parts) + decoded.get("query", "") + decoded.get("text_1", "")
    assert path == f"/v1/{endpoint}"
    assert len(parts) == items
    assert chars <= len(whole) <= chars + items


def test_generation_is_forced_to_the_traced_length() -> None:
    _, body = request_for(call("a", 0, 1, output_tokens=37), salt="0", templates=frozenset())
    decoded = msgspec.json.decode(body)
    assert decoded["max_tokens"] == 37
    assert decoded["ignore_eos"] is True


def test_an_answer_of_unknown_length_is_not_replayed_as_the_callers_limit() -> None:
    asked = call("a", 0, 1, output_tokens=None, max_tokens=4096)
    _, body = request_for(asked, salt="0", templates=frozenset())
    assert msgspec.json.decode(body)["max_tokens"] == 1


def test_a_point_is_read_off_at_the_typical_length() -> None:
    samples = [Sample("w", t, t, 0.1 + 0.01 * t, t, 0, ttft=0.1) for t in range(50, 150)]
    found = point(5.0, [samples], TypicalCall(output_tokens=120, prompt_tokens=0))
    assert found.latency == pytest.approx(1.3)
    assert found.ttft == pytest.approx(0.1)
    assert found.tpot == pytest.approx(0.01, rel=0.05)
    assert found.ttft_quantiles is not None
    assert found.noise == pytest.approx(0, abs=1e-9)
    # A typical call that is shorter than all samples is on the same line.
    assert point(5.0, [samples], TypicalCall(2, 0)).latency == pytest.approx(0.12)


def test_of_few_calls_latency_is_in_proportion_to_length() -> None:
    few = [Sample("w", t, t, 0.01 * t, t, 0) for t in (150, 170)]
    assert point(5.0, [few], TypicalCall(80, 0)).latency == pytest.approx(0.8)
    # A call of a few tokens takes about as long as one of one token: most of it is not decoding.
    short = [Sample("w", t, t, 0.1, t, 0) for t in (1, 4)]
    assert point(5.0, [short], TypicalCall(3, 0)).latency == pytest.approx(0.1)


def test_the_typical_call_is_the_traced_mean() -> None:
    runs = bursts_of([trace(call("a", 0, 1, output_tokens=10), call("a", 2, 5))], "a")
    assert typical(runs) == TypicalCall(output_tokens=15, prompt_tokens=100, duration=2)


@given(
    st.floats(1, 100),
    st.dictionaries(
        st.sampled_from("abc"), st.tuples(st.floats(0.1, 9), st.floats(0.1, 9)), min_size=1
    ),
)
def test_loads_of_the_mixture_add_up_to_one(
    total: float, found: dict[str, tuple[float, float]]
) -> None:
    whole = sum(part for part, _ in found.values())
    calls = {name: part / whole for name, (part, _) in found.items()}
    tops = throughput_alone(total, calls, {name: cost for name, (_, cost) in found.items()})
    assert sum(total * calls[name] / tops[name] for name in calls) == pytest.approx(1)


def test_effort_stretches_the_budget() -> None:
    assert SweepSettings(budget=4).times(1.5).budget == 6
