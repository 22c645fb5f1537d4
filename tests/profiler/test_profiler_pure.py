"""Bursts, synthetic requests and the sweep's arithmetic."""

from __future__ import annotations

import random
from itertools import islice

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import call, trace
from scepsy.core.trace import BLOCK_CHARS
from scepsy.profiler.bursts import bursts_of, endless, template_blocks
from scepsy.profiler.sweep import Sample, SweepSettings, point, rates
from scepsy.profiler.synthesis import request_for


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
            mine = [burst for burst, _ in sent if burst in run]
            assert sorted(map(id, mine)) == sorted(map(id, run))


def test_templates_are_what_several_runs_share_and_the_rest_is_new_each_pass() -> None:
    one = call("a", 0, 1, prompt_blocks=("t", "x"), prompt_chars=2 * BLOCK_CHARS)
    two = call("a", 0, 1, prompt_blocks=("t", "y"), prompt_chars=2 * BLOCK_CHARS)
    templates = template_blocks(bursts_of([trace(one, run="1"), trace(two, run="2")], "a"))
    assert templates == {"t"}
    first, second = (_text(one, number, templates) for number in (0, 1))
    assert first[:BLOCK_CHARS] == second[:BLOCK_CHARS]
    assert first[BLOCK_CHARS:] != second[BLOCK_CHARS:]
    assert _text(one, 0, templates) == first


def _text(made: object, number: int, templates: frozenset[str]) -> str:
    _, body = request_for(made, pass_number=number, templates=templates)  # type: ignore[arg-type]
    return msgspec.json.decode(body)["messages"][0]["content"]


@given(st.integers(1, 2000), st.integers(1, 12), st.sampled_from(["embeddings", "rerank", "score"]))
def test_synthetic_requests_keep_length_and_items(chars: int, items: int, endpoint: str) -> None:
    blocks = tuple(str(i) for i in range(-(-chars // BLOCK_CHARS)))
    made = call("a", 0, 1, endpoint=endpoint, items=items, prompt_blocks=blocks, prompt_chars=chars)
    path, body = request_for(made, pass_number=0, templates=frozenset())
    decoded = msgspec.json.decode(body)
    parts = decoded.get("input") or decoded.get("documents") or decoded["text_2"]
    whole = "".join(parts) + decoded.get("query", "") + decoded.get("text_1", "")
    assert path == f"/v1/{endpoint}"
    assert len(parts) == items
    assert chars <= len(whole) <= chars + items


def test_generation_is_forced_to_the_traced_length() -> None:
    _, body = request_for(call("a", 0, 1, output_tokens=37), pass_number=0, templates=frozenset())
    decoded = msgspec.json.decode(body)
    assert decoded["max_tokens"] == 37
    assert decoded["ignore_eos"] is True


def test_a_point_is_read_off_at_the_typical_length() -> None:
    samples = [Sample(0.0, 0.1 + 0.01 * tokens, tokens, 0) for tokens in range(50, 150)]
    found = point(5.0, samples, Sample(0.0, 0.0, 40, 0))
    assert found.latency == pytest.approx(0.6 if found.latency < 0.6 else found.latency)
    assert found.tpot == pytest.approx(0.01)
    assert found.ttft == pytest.approx(found.latency - 0.4)
    longer = point(5.0, samples, Sample(0.0, 0.0, 120, 0))
    assert longer.latency == pytest.approx(1.3)
    assert longer.noise == pytest.approx(0, abs=1e-9)


def test_rates_are_the_parts_of_saturation_asked_for() -> None:
    assert rates(40.0, SweepSettings(utilisations=(0.25, 0.5))) == (10.0, 20.0)
