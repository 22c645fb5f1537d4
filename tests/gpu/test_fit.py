"""A fit finds what generated its data, and a GPU's raw records lead to it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import msgspec
import pytest
from benchmarks.gpu.fit import fit
from benchmarks.gpu.fit_pairs import Rate, Work, co_location
from benchmarks.gpu.fit_shares import ShareRatio, fit_bandwidth, fit_stretch
from benchmarks.gpu.fit_steps import BOUNDS, MeasuredStep, fit_constants, predicted
from benchmarks.gpu.jobs import GPU, Point, share_points, step_points
from benchmarks.gpu.raw import HOST_STEP
from benchmarks.gpu.shapes import LARGE, SMALL, Shape
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from scepsy.hardware.gpus import GpuConstants, gpu_constants

H100 = gpu_constants("h100")
constants = st.builds(
    lambda **fitted: replace(H100, **fitted),
    weight_efficiency=st.floats(0.5, 0.98),
    gemm_efficiency=st.floats(0.3, 0.95),
    kv_efficiency=st.floats(0.4, 0.98),
    attention_efficiency=st.floats(0.1, 0.8),
    layer_overhead=st.floats(1e-6, 3e-4),
    overlap=st.floats(1.1, 4.0),
    token_ramp=st.floats(1.0, 100.0),
)
shares = st.lists(st.sampled_from(GPU.shares[:-1]), min_size=2, unique=True)


def step(shape: Shape, point: Point) -> MeasuredStep:
    return MeasuredStep(shape, **asdict(point), seconds=1.0)


def timed(steps: list[MeasuredStep], gpu: GpuConstants) -> list[MeasuredStep]:
    return [
        replace(each, seconds=seconds)
        for each, seconds in zip(steps, predicted(steps, gpu).tolist(), strict=True)
    ]


STEPS = [step(shape, point) for shape in (SMALL, LARGE) for point in step_points(1)]


@given(constants)
@settings(max_examples=3, deadline=None, phases=[Phase.generate])
def test_a_fit_predicts_steps_that_it_has_not_seen(gpu: GpuConstants) -> None:
    """Not always by the same constants: overlap and ramp can stand in for each other."""
    found = fit_constants(timed(STEPS[::2], gpu), H100)
    assert max(abs(predicted(STEPS, found) / predicted(STEPS, gpu) - 1)) < 0.02


@pytest.mark.parametrize("gpu_type", ["h200", "a100"])
def test_the_constants_of_a_gpu_are_found_again(gpu_type: str) -> None:
    gpu = replace(gpu_constants(gpu_type), token_ramp=5.0)
    fitted = {name: getattr(H100, name) for name in BOUNDS}
    found = fit_constants(timed(STEPS, gpu), replace(gpu, **fitted))
    for name in BOUNDS:
        assert getattr(found, name) == pytest.approx(getattr(gpu, name), rel=0.01)


@given(st.floats(0.05, 1.2), shares)
def test_the_stretch_of_compute_is_found_again(b: float, at: list[float]) -> None:
    ratios = [ShareRatio("compute", share, 1 - b + b / share) for share in at]
    noise = [ShareRatio("memory", share, 7.0) for share in at]
    assert fit_stretch([*ratios, *noise]) == pytest.approx((1 - b, b))


@given(st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0.9, 50)), max_size=30))
def test_kept_bandwidth_rises_from_nothing_to_all(measured: list[tuple[float, float]]) -> None:
    kept = fit_bandwidth([ShareRatio("memory", share, ratio) for share, ratio in measured])
    assert (kept[0], kept[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert list(kept) == sorted(kept)
    assert [part for _, part in kept] == sorted(part for _, part in kept)


def test_kept_bandwidth_is_the_median_at_each_share() -> None:
    ratios = [ShareRatio("memory", 0.5, ratio) for ratio in (1.0, 1.25, 9.0)]
    assert fit_bandwidth(ratios) == ((0.0, 0.0), (0.5, 0.8), (1.0, 1.0))


@given(st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_a_neighbour_is_judged_by_the_rates_alone(left: float, right: float) -> None:
    one, other = Work("decode", 0.3), Work("prefill", 0.7)
    alone = [Rate(one, 100.0, 1e9), Rate(other, 10.0, 1e9)]
    pair = [Rate(one, 100.0 * left, 1e9, other), Rate(other, 10.0 * right, 1e9, one)]
    rows = co_location([*alone, *pair], H100.bandwidth)
    assert [row["kept"] for row in rows] == pytest.approx([left, right], abs=1e-4)
    assert [row["kept_shipped"] for row in rows] == [1.0, 1.0]  # 0.11e12 of 3.35e12 bytes/s


def test_from_raw_records_to_constants_shares_and_neighbours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    gpu = replace(H100, gemm_efficiency=0.6, kv_efficiency=0.7, layer_overhead=2e-5)
    records: list[dict[str, Any]] = [record(each) for each in timed(STEPS, gpu)]
    for share in GPU.shares:
        for each in timed([step(LARGE, p) for p in share_points(1)], gpu):
            of_layer = gpu.layer_overhead + gpu.prefill_overhead * (each.prefill > 0)
            fixed = HOST_STEP + of_layer * LARGE.layers  # the host's, the kernels'
            stretch = 0.2 + 0.8 / share if each.prefill else share**-0.3
            seconds = fixed + (each.seconds - fixed) * stretch
            records.append(record(replace(each, seconds=seconds), share, "mps"))
    alone = {"record": "rate", "llm": LARGE.name, "kind": "decode", "share": 0.5, "rate": 80.0,
             **asdict(Point(decodes=16, context=2048))}  # fmt: skip
    beside = {"neighbour": "decode", "neighbour_share": 0.5, "neighbour_rate": 40.0}
    records += [alone, {**alone, **beside, "rate": 50.0}]

    found = fit(records, H100)

    torch = found["steps"]["torch"]
    entry = msgspec.convert(json.loads(json.dumps(torch["constants"])), GpuConstants, strict=False)
    for name in BOUNDS:
        assert getattr(entry, name) == pytest.approx(getattr(gpu, name), rel=0.01)
    assert torch["error_before"]["mean"] > 0.02 > 1e-3 > torch["error_after"]["mean"]
    stretch = found["shares"]["compute_stretch"]
    assert (stretch["a"], stretch["b"]) == pytest.approx((0.2, 0.8), abs=0.01)
    assert dict(found["shares"]["bandwidth_kept"])[0.5] == pytest.approx(0.5**0.3, abs=0.01)
    assert {row["kept"] for row in found["co_location"]["rows"]} == {0.5, 0.625}
    assert "fitted" in capsys.readouterr().out


def record(each: MeasuredStep, share: float = 1.0, mechanism: str | None = None) -> dict[str, Any]:
    point = {name: getattr(each, name) for name in ("prefill", "prefix", "decodes", "context")}
    seconds = each.seconds - HOST_STEP
    return {"record": "step", "engine": "torch", "llm": each.shape.name, "seconds": seconds,
            "asked": share, "share": share, "mechanism": mechanism, **point}  # fmt: skip
