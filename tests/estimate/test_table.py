"""Tables of steps: exact where measured, between their neighbours elsewhere."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scepsy.core.llm import LlmSpec
from scepsy.errors import BadInput
from scepsy.estimate.step_times.files import read_tables
from scepsy.estimate.step_times.steps import Steps
from scepsy.estimate.step_times.table import COLUMNS, Table, table_of
from scepsy.hardware.architectures import shape_called
from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.step_time import StepLoad, StepTimer

LLM = LlmSpec(name="g", **shape_called("llama-3.1-8b"))
TIMER = StepTimer(LLM, gpu_constants("h100"), host_overhead=0.0)
PREFILLS, CONTEXTS = (64, 512, 4096), (32, 256, 4096)
DECODES, KVS = (1, 8, 64), (128, 2048)


def load(prefill: int, context: int, decodes: int, kv: int) -> StepLoad:
    return StepLoad(prefill, prefill * context, decodes, decodes * kv)


def rows(*, mixed: bool) -> list[dict[str, float]]:
    sizes = [(p, c, 0, 0) for p, c in product(PREFILLS, CONTEXTS)]
    sizes += [(0, 0, d, k) for d, k in product(DECODES, KVS)]
    if mixed:
        sizes += list(product(PREFILLS, CONTEXTS, DECODES, KVS))
    return [
        dict(zip(COLUMNS, (*map(float, size), TIMER.seconds(load(*size))), strict=True))
        for size in sizes
    ]


TABLE = table_of(rows(mixed=True))


@given(
    st.sampled_from((0, *PREFILLS)),
    st.sampled_from(CONTEXTS),
    st.sampled_from((0, *DECODES)),
    st.sampled_from(KVS),
)
def test_exact_on_the_grid(prefill: int, context: int, decodes: int, kv: int) -> None:
    if prefill or decodes:
        step = load(prefill, context, decodes, kv)
        assert TABLE.at(step) == pytest.approx(TIMER.seconds(step), rel=1e-9)


@given(st.integers(1, 64), st.integers(128, 2048))
def test_between_its_neighbours(decodes: int, kv: int) -> None:
    seconds = TABLE.at(StepLoad(decodes=decodes, decode_kv=decodes * kv))
    assert TABLE.least <= seconds <= TABLE.at(StepLoad(decodes=64, decode_kv=64 * 2048)) + 1e-12


@given(st.integers(1, 20000), st.integers(0, 600), st.integers(1, 20000))
def test_no_step_is_shorter_than_the_shortest(prefill: int, decodes: int, kv: int) -> None:
    step = StepLoad(prefill, prefill * prefill / 2, decodes, decodes * kv)
    assert TABLE.at(step) >= TABLE.least


def test_mixed_steps_that_nobody_measured_are_put_together() -> None:
    bare = table_of(rows(mixed=False))
    step = load(512, 256, 8, 2048)
    assert bare.at(step) == pytest.approx(TIMER.seconds(step), rel=0.1)
    assert bare.at(step) > bare.at(load(512, 256, 0, 0))


def test_slope_of_kv_is_that_of_the_steps() -> None:
    assert TABLE.per_kv_token == pytest.approx(TIMER.per_kv_token, rel=1e-6)


def test_a_table_with_holes_says_which() -> None:
    with pytest.raises(BadInput, match=r"no row for prefill_tokens 0, .*decodes 8, .*2048"):
        table_of(
            [
                row
                for row in rows(mixed=False)
                if (row["decodes"], row["decode_context"]) != (8, 2048)
            ]
        )
    with pytest.raises(BadInput, match="it has no rows"):
        table_of([])


def test_tables_are_read_from_csv(tmp_path: Path) -> None:
    path = tmp_path / "steps.csv"
    lines = [",".join(("llm", "tp", *COLUMNS))]
    lines += ["g,2," + ",".join(str(row[name]) for name in COLUMNS) for row in rows(mixed=False)]
    path.write_text("\n".join(lines))
    tables = read_tables(path)
    assert isinstance(tables["g", 2], Table)
    steps = Steps("h100", "tabulated", lambda llm, tp: tables.get((llm.name, tp)))
    assert steps.timer(LLM, 4, 1.0) is None
    whole, half = steps.timer(LLM, 2, 1.0), steps.timer(LLM, 2, 0.5)
    assert whole is not None
    assert half is not None
    prompt = load(4096, 4096, 0, 0)
    assert 1.3 < half.cost(prompt)[0] / whole.cost(prompt)[0] < 1.63  # all-reduce is as before
    path.write_text("llm,tp\n")
    with pytest.raises(BadInput, match=r"steps\.csv: column decode_context, decodes"):
        read_tables(path)
    path.write_text("\n".join(["llm,tp," + ",".join(COLUMNS), "g,2,1,1,1,1,fast"]))
    with pytest.raises(BadInput, match=r"steps\.csv:2: tp and the columns"):
        read_tables(path)
