"""The comparison with measured serving points: its arithmetic, and a fast part of it."""

from __future__ import annotations

from importlib.util import find_spec

import msgspec
import pytest
from experiments.closed_loop import Clients, serve
from experiments.silicon import served as serving
from experiments.silicon.calibrate import Adds, fit
from experiments.silicon.points import LEFT_OUT, Point, read_points
from hypothesis import given, settings
from hypothesis import strategies as st

from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.memory import kv_capacity
from scepsy.hardware.step_time import StepTimer

POINTS = [
    point
    for point in read_points()
    if point.group == ("llama-3.1-70b-fp8", "h200", "vllm") and point.prompt_tokens == 1024
]


def served(point: Point, source: serving.Source) -> serving.Served:
    found = serving.served(point, source)
    assert not isinstance(found, str), found
    return found


def test_every_published_row_is_covered_or_has_a_reason() -> None:
    left_out = sum(int(line.split(",")[0]) for line in LEFT_OUT.read_text().splitlines()[1:])
    assert len(read_points()) + left_out == 5221


@pytest.mark.parametrize("place", range(3))
@settings(max_examples=5, deadline=None)
@given(host=st.floats(0.0, 0.01))
def test_longer_steps_need_no_second_simulation(place: int, host: float) -> None:
    """What `Parts` claims: in a closed loop, a host's work in each step is seen to the digit."""
    point = msgspec.structs.replace(POINTS[place * 4], concurrency=6, output_tokens=200)
    llm, gpu = serving.spec_of(point), gpu_constants(point.gpu)
    kv = kv_capacity(llm, tp=point.tp, memory_share=0.9, gpu_memory=gpu.memory)
    slower = StepTimer(llm, gpu, tp=point.tp, host_overhead=host)
    clients = Clients(6, point.prompt_tokens, 200, least=0.8, rounds=serving.ROUNDS)
    ttft, tpot = serve(llm, slower, kv, clients)
    adds, parts = Adds(host=host), served(point, "roofline")
    assert adds.ttft(parts) == pytest.approx(ttft)
    assert adds.tpot(parts) == pytest.approx(tpot)


def test_the_fit_finds_what_an_engine_adds() -> None:
    truth = Adds(scale=1.2, host=2e-3, request=0.05)
    pairs = [
        (
            msgspec.structs.replace(point, ttft=truth.ttft(parts), tpot=truth.tpot(parts)),
            parts,
        )
        for point in POINTS[::2]
        for parts in (served(point, "roofline"),)
    ]
    found = fit(pairs)
    assert found.scale == pytest.approx(1.2, rel=0.01)
    assert found.host == pytest.approx(2e-3, rel=0.05)
    assert found.request == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize("source", ["oracle", "roofline"])
def test_whole_latency_is_near_what_was_measured(source: serving.Source) -> None:
    """Llama-3.1-70B fp8 on H200 under vLLM, TP 1 to 8, untuned: at most 15% off on average."""
    if source == "oracle" and find_spec("aiconfigurator_core") is None:
        pytest.skip("aiconfigurator-core is not installed: pip install -e '.[aiconfigurator]'")
    errors = [
        abs(Adds().whole(point, served(point, source)) / point.whole - 1) for point in POINTS[::3]
    ]
    assert sum(errors) / len(errors) < 0.15
