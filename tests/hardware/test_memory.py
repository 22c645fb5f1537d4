"""One truth for memory and TP degrees: search, simulator, emulated engine, launch flags agree."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.engines.emulated.__main__ import _build, _parser
from scepsy.engines.emulated.board import Board
from scepsy.engines.protocol import EngineResources
from scepsy.errors import BadInput, EngineFailed
from scepsy.hardware.architectures import shape_called, shape_of
from scepsy.hardware.memory import (
    BLOCK_TOKENS,
    kv_bytes_per_token,
    kv_capacity,
    least_memory_share,
)
from scepsy.hardware.tensor_parallel import degrees, refusal
from scepsy.search import floors

GPU_MEMORY = 80e9
EMULATED = Cluster(nodes=(Node(name="n", gpus=8),), gpu_memory=GPU_MEMORY)
ARCHITECTURES = (
    "llama-3.1-8b",  # dense
    "qwen3-30b-a3b",  # a mixture with 4 KV heads: TP8 copies them
    "qwen3-32b-fp8",  # quantised
    "gpt-oss-20b",  # sliding windows, MXFP4 experts
)


def served(architecture: str, engine: EngineKind = "emulated") -> LlmSpec:
    shape = shape_called(architecture)
    return LlmSpec(name="llm", engine=engine, architecture=architecture, **shape)


def emulated_capacity(llm: LlmSpec, tp: int, share: float, folder: Path) -> int:
    """Tokens of KV cache that an emulated engine serves with, in whole blocks."""
    flags = ["--llm-json", msgspec.json.encode(llm).decode(), "--port", "1", "--tp", str(tp)]
    flags += ["--gpu-type", "h100", "--gpu-memory", str(GPU_MEMORY), "--memory-share", str(share)]
    flags += ["--gpu-share", str(share), "--board", str(folder / "board")]
    served_llm = _build(_parser().parse_args(flags))
    return served_llm.pacer.engine.kv.capacity * BLOCK_TOKENS


@given(
    st.sampled_from(ARCHITECTURES),
    st.sampled_from((1, 2, 4, 8)),
    st.sampled_from(("emulated", "vllm", "sglang")),
    st.integers(1, 1 << 18),
)
def test_a_replica_that_the_search_admits_holds_its_least_kv_cache(
    architecture: str, tp: int, engine: EngineKind, tokens: int
) -> None:
    llm = msgspec.structs.replace(served(architecture, engine), min_kv_tokens=tokens)
    floor = floors(llm, EMULATED)[tp]
    assert floor == least_memory_share(llm, tp=tp, gpu_memory=GPU_MEMORY)
    capacity = kv_capacity(llm, tp=tp, memory_share=floor, gpu_memory=GPU_MEMORY)
    assert tokens <= capacity < tokens + 2 * BLOCK_TOKENS
    resources = EngineResources(tp=tp, memory_share=floor, gpu_type="h100", gpu_memory=GPU_MEMORY)
    assert resources.kv_tokens(llm) == capacity


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("tp", "share"), [(1, 1.0), (1, 0.6), (8, 1.0)])
def test_the_emulated_engine_has_the_kv_cache_that_is_planned_with(
    architecture: str, tp: int, share: float, tmp_path: Path
) -> None:
    llm = served(architecture)
    planned = kv_capacity(llm, tp=tp, memory_share=share, gpu_memory=GPU_MEMORY)
    if planned < BLOCK_TOKENS:
        with pytest.raises(BadInput, match="does not fit"):
            emulated_capacity(llm, tp, share, tmp_path)
    else:
        assert emulated_capacity(llm, tp, share, tmp_path) == planned


@pytest.mark.parametrize(
    ("architecture", "millions"), [("qwen3-30b-a3b", 2.88), ("qwen3-235b-a22b-fp8", 1.02)]
)
def test_kv_heads_are_copied_where_there_are_fewer_than_gpus(
    architecture: str, millions: float
) -> None:
    """sglang#10852: half of what a division of the heads by 8 would give (P05)."""
    llm = served(architecture)
    assert kv_bytes_per_token(llm, 8) == kv_bytes_per_token(llm, 4)
    tokens = kv_capacity(llm, tp=8, memory_share=1.0, gpu_memory=GPU_MEMORY)
    assert tokens / 1e6 == pytest.approx(millions, rel=0.02)


@pytest.mark.parametrize("name", ["qwen3-235b-a22b-fp8", "minimax-m2.5"])
def test_fp8_experts_are_split_in_whole_blocks_only(name: str) -> None:
    """vllm#17569 (P01)."""
    llm = served(name, "vllm")
    assert [tp for tp in degrees(llm, 8) if refusal(llm, tp) is None] == [1, 2, 4]
    assert "1536 / 8 = 192, is no multiple of the FP8 block of 128" in (refusal(llm, 8) or "")


def test_heads_that_do_not_divide_are_refused() -> None:
    """vllm#11797: 28 heads, 4 KV heads (P02)."""
    config = {
        "model_type": "qwen2", "hidden_size": 3584, "num_hidden_layers": 28, "vocab_size": 152064,
        "num_attention_heads": 28, "num_key_value_heads": 4, "intermediate_size": 18944,
    }  # fmt: skip
    llm = LlmSpec(name="qwen2.5-7b", **shape_of(config))
    assert [tp for tp in degrees(llm, 8) if refusal(llm, tp) is None] == [1, 2, 4]
    assert refusal(llm, 8) == (
        "'qwen2.5-7b' cannot run at TP8: its 28 attention heads do not divide by 8"
    )


QUANTISED = {
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 128},
    "awq of another writer": {"quant_method": "awq", "w_bit": 4, "q_group_size": 128},
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 128},
    "compressed-tensors": {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "config_groups": {
            "group_0": {"weights": {"num_bits": 4, "type": "int", "group_size": 128}}
        },
    },
}


@pytest.mark.parametrize("settings", QUANTISED.values(), ids=QUANTISED)
def test_four_bit_checkpoints_are_not_taken_for_sixteen(settings: dict[str, object]) -> None:
    config = {
        "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 128256,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
        "quantization_config": settings,
    }  # fmt: skip
    llm = LlmSpec(name="llm", **shape_of(config))
    assert 0.5 <= llm.bytes_per_parameter <= 0.65


def test_an_unknown_quantisation_is_refused_by_name() -> None:
    config = {
        "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 128256,
        "num_attention_heads": 32, "intermediate_size": 14336,
        "quantization_config": {"quant_method": "zeta7"},
    }  # fmt: skip
    with pytest.raises(BadInput, match="zeta7"):
        shape_of(config)


def test_an_emulated_gpu_that_is_full_refuses_an_engine_in_vllms_words(tmp_path: Path) -> None:
    first, second = Board(tmp_path / "gpu"), Board(tmp_path / "gpu")
    first.hold(0.6, GPU_MEMORY)
    with pytest.raises(EngineFailed, match=r"less than desired GPU memory utilization \(0\.5"):
        second.hold(0.5, GPU_MEMORY)
    second.hold(0.4, GPU_MEMORY)


def test_gpu_memory_in_gigabytes_is_said_to_be_that() -> None:
    with pytest.raises(BadInput, match="gpu_memory is in bytes; did you mean 80e9"):
        floors(served("llama-3.1-8b"), msgspec.structs.replace(EMULATED, gpu_memory=80))
