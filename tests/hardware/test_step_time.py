"""The step timer against the operator-level oracle's anchors, and how shares stretch it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scepsy.core.llm import LlmSpec
from scepsy.errors import BadInput
from scepsy.hardware.gpus import bandwidth_kept, gpu_constants
from scepsy.hardware.step_time import CallTokens, StepLoad, StepTimer, call_cost

LLAMA_8B = LlmSpec(
    name="llama-8b", parameters=8.03e9, layers=32, hidden=4096, kv_heads=8, head_dim=128
)
QWEN_32B = LlmSpec(
    name="qwen-32b", parameters=32.8e9, layers=64, hidden=5120, kv_heads=8, head_dim=128
)


def timer(
    llm: LlmSpec = LLAMA_8B, gpu: str = "h100", tp: int = 1, gpu_share: float = 1.0
) -> StepTimer:
    return StepTimer(llm, gpu_constants(gpu), tp=tp, gpu_share=gpu_share)


def decode(sequences: int, context: int = 2048) -> StepLoad:
    return StepLoad(decodes=sequences, decode_kv=sequences * context)


def prefill(tokens: int) -> StepLoad:
    return StepLoad(prefill_tokens=tokens, attended=tokens * tokens / 2)


ANCHORS = [
    (LLAMA_8B, "h100", 1, (6.2, 9.6, 44)),
    (LLAMA_8B, "h100", 2, (4.0, 5.7, 28)),
    (LLAMA_8B, "h200", 1, (4.9, 7.3, 43)),
    (LLAMA_8B, "a100", 1, (12.0, 19.1, 125)),
    (QWEN_32B, "h100", 1, (24.4, 32.2, 186)),
    (QWEN_32B, "h100", 2, (13.5, 17.6, 107)),
    (QWEN_32B, "h100", 4, (8.2, 11.0, 66)),
    (QWEN_32B, "h200", 1, (18.4, 24.3, 184)),
    (QWEN_32B, "a100", 1, (45.0, 58.4, 501)),
]


@pytest.mark.parametrize(
    ("llm", "gpu", "tp", "milliseconds"),
    ANCHORS,
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_anchors(llm: LlmSpec, gpu: str, tp: int, milliseconds: tuple[float, float, float]) -> None:
    step = timer(llm, gpu, tp)
    found = [step.seconds(load) * 1e3 for load in (decode(1), decode(32), prefill(2048))]
    assert found == pytest.approx(milliseconds, rel=0.25)


def test_share_stretches_prefill_and_decode_as_measured() -> None:
    whole, half = timer(), timer(gpu_share=0.5)
    assert half.seconds(prefill(8192)) / whole.seconds(prefill(8192)) == pytest.approx(
        0.37 + 0.63 / 0.5, rel=0.05
    )
    assert half.seconds(decode(8)) / whole.seconds(decode(8)) == pytest.approx(1 / 0.92, rel=0.05)


@given(st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_less_of_a_gpu_is_never_faster(one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert bandwidth_kept(less) <= bandwidth_kept(more)
    assert (
        timer(gpu_share=less).seconds(decode(4)) >= timer(gpu_share=more).seconds(decode(4)) - 1e-12
    )


@given(st.integers(1, 64), st.integers(0, 100_000), st.integers(1, 1000))
def test_seconds_are_affine_in_decode_kv(sequences: int, kv: int, more: int) -> None:
    step = timer()
    one = step.seconds(StepLoad(decodes=sequences, decode_kv=kv))
    two = step.seconds(StepLoad(decodes=sequences, decode_kv=kv + more))
    assert two - one == pytest.approx(more * step.per_kv_token, rel=1e-5, abs=1e-12)


def test_no_step_beats_physics() -> None:
    assert timer().seconds(decode(1)) > LLAMA_8B.weight_bytes / 3.35e12
    assert timer().seconds(prefill(4096)) > 2 * LLAMA_8B.parameters * 4096 / 989e12


def test_unknown_gpu_type() -> None:
    with pytest.raises(BadInput, match=r"'abacus'.*a100, b200, h100"):
        gpu_constants("abacus")


@given(st.integers(1, 30), st.integers(1, 400), st.integers(0, 2000))
def test_prompts_computed_together_share_their_steps(prompts: int, fresh: int, cached: int) -> None:
    """And the more tokens a step computes, the smaller is the part of it that reads weights."""
    step, call = timer(), CallTokens(prompt=cached + fresh, output=1, cached=cached)
    alone = call_cost(step, call, step_tokens=1 << 30)
    shared = call_cost(step, call, step_tokens=1 << 30, prompts=prompts)
    load = StepLoad(prompts * fresh, prompts * fresh * (cached + fresh / 2))
    whole, memory = step.cost(load)
    assert shared == pytest.approx((whole / prompts, memory))
    assert shared[0] <= alone[0] * (1 + 1e-9)
    assert shared[1] <= alone[1] + 1e-9
