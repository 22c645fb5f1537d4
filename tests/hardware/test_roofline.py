"""The roofline against steps of the oracle that its fit did not see, and against physics."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from roofline_error import STEPS, Group, errors, read_groups

from scepsy.core.llm import LlmSpec
from scepsy.hardware.architectures import shape_called, shipped
from scepsy.hardware.gpus import gpu_constants, gpus
from scepsy.hardware.step_time import StepLoad, StepTimer


@pytest.fixture(scope="module")
def groups() -> dict[str, list[Group]]:
    return read_groups(STEPS)


@pytest.mark.parametrize(
    ("gpu_type", "dense", "mixture"),
    [
        ("a100", 0.08, 0.10),
        ("h100", 0.08, 0.15),
        ("h200", 0.08, 0.18),
        ("l40s", 0.08, 0.10),
        ("b200", 0.08, 0.15),
    ],
)
def test_held_out_steps(
    gpu_type: str, dense: float, mixture: float, groups: dict[str, list[Group]]
) -> None:
    gpu = gpu_constants(gpu_type)
    mean = {
        name: float(np.mean(values))
        for name, values in errors(gpu, [g.half(1) for g in groups[gpu_type]]).items()
    }
    assert mean["dense"] < dense
    assert mean["mixture"] < mixture
    for kind, stated in gpu.error.items():
        assert mean[kind] == pytest.approx(stated, abs=1e-3)


@given(
    st.sampled_from(sorted(shipped())),
    st.sampled_from(sorted(gpus())),
    st.sampled_from([1, 2, 4, 8]),
    st.floats(0.05, 1.0),
    st.integers(0, 8192),
    st.integers(0, 8192),
    st.integers(0, 256),
    st.integers(1, 16384),
)
def test_no_step_beats_physics(
    name: str,
    gpu_type: str,
    tp: int,
    share: float,
    prefill: int,
    before: int,
    decodes: int,
    context: int,
) -> None:
    if not prefill + decodes:
        return
    llm, gpu = LlmSpec(name=name, **shape_called(name)), gpu_constants(gpu_type)
    load = StepLoad(prefill, prefill * (before + prefill / 2), decodes, decodes * context)
    seconds = StepTimer(llm, gpu, tp=tp, gpu_share=share, host_overhead=0.0).seconds(load)
    visited = llm.experts.active / llm.experts.count if llm.experts else 0.0
    per_token = 2 * (llm.body_parameters + visited * llm.expert_parameters)
    attention = 4 * (llm.layers - llm.window_layers) * llm.query_width * load.attended
    flops = per_token * (prefill + decodes) + attention
    peak = gpu.flops * tp * (gpu.fp8 if llm.fp8 else 1.0)
    assert seconds >= flops / peak
    read = llm.body_bytes + llm.head_bytes + visited * llm.expert_bytes
    assert seconds >= (read + llm.kv_bytes_per_token * load.decode_kv) / (gpu.bandwidth * tp)


def test_a_mixture_reads_more_experts_the_more_tokens_it_has() -> None:
    llm = LlmSpec(name="x", **shape_called("gpt-oss-20b"))
    timer = StepTimer(llm, gpu_constants("h100"))
    one, many = (timer.seconds(StepLoad(decodes=n, decode_kv=n)) for n in (1, 64))
    assert llm.experts is not None
    assert many - one > 0.8 * llm.expert_bytes / gpu_constants("h100").bandwidth


def test_the_input_embedding_is_not_read() -> None:
    llm = LlmSpec(name="x", **shape_called("bge-m3"))
    bare = msgspec.structs.replace(llm, parameters=llm.body_parameters, lookup_parameters=0.0)
    assert bare.parameters < 0.6 * llm.parameters
    one, other = (StepTimer(spec, gpu_constants("l40s")) for spec in (llm, bare))
    assert one.seconds(StepLoad(decodes=1)) == other.seconds(StepLoad(decodes=1))
