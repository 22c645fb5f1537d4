"""Shapes out of `config.json`, against what their publishers say of them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from scepsy.core.llm import LlmSpec
from scepsy.errors import BadInput
from scepsy.hardware.architectures import shape_called, shape_of, shipped
from scepsy.store import read_llms


def spec(name: str) -> LlmSpec:
    return LlmSpec(name=name, **shape_called(name))


@pytest.mark.parametrize(
    ("name", "billions", "gigabytes", "kind"),
    [
        ("llama-3.1-8b", 8.03, 16.06, "generate"),
        ("llama-3.1-70b", 70.55, 141.1, "generate"),
        ("llama-3.1-70b-fp8", 70.55, 72.7, "generate"),
        ("mistral-7b", 7.25, 14.5, "generate"),
        ("qwen3-0.6b", 0.596, 1.19, "generate"),
        ("qwen3-8b", 8.19, 16.4, "generate"),
        ("qwen3-32b", 32.76, 65.5, "generate"),
        ("qwen3-30b-a3b", 30.53, 61.1, "generate"),
        ("qwen3-235b-a22b-fp8", 235.1, 236.3, "generate"),
        ("minimax-m2.5", 228.7, 230.0, "generate"),
        ("gpt-oss-20b", 20.9, 13.8, "generate"),
        ("gpt-oss-120b", 116.8, 65.2, "generate"),
        ("bge-m3", 0.56, 1.12, "embed"),
        ("qwen3-embedding-0.6b", 0.596, 1.19, "embed"),
        ("bge-reranker-v2-m3", 0.56, 1.12, "rerank"),
        ("qwen3-reranker-0.6b", 0.596, 1.19, "rerank"),
    ],
)
def test_sizes_are_those_published(name: str, billions: float, gigabytes: float, kind: str) -> None:
    found = spec(name)
    assert found.parameters / 1e9 == pytest.approx(billions, rel=0.01)
    assert found.weight_bytes / 1e9 == pytest.approx(gigabytes, rel=0.01)
    assert found.kind == kind


def test_kv_and_active_parameters() -> None:
    assert spec("llama-3.1-8b").kv_bytes_per_token == 131072
    assert spec("qwen3-32b").kv_bytes_per_token == 262144
    oss = spec("gpt-oss-120b")
    assert oss.experts is not None
    active = oss.expert_parameters * oss.experts.active / oss.experts.count
    met = oss.body_parameters + oss.head_parameters + active
    assert met / 1e9 == pytest.approx(5.1, rel=0.02)  # the "5.1B active" that its publisher gives
    assert oss.window_layers == oss.layers / 2


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_part_of_a_shape_is_positive(name: str) -> None:
    found = spec(name)
    assert found.body_parameters > 0
    assert found.query_width == found.heads * found.head_dim


def test_a_config_that_we_cannot_read_says_so() -> None:
    with pytest.raises(BadInput, match=r"model_type 'mamba'; we know bert"):
        shape_of({**_config(), "model_type": "mamba"})
    with pytest.raises(BadInput, match=r"missing required field `model_type`"):
        shape_of({})
    with pytest.raises(BadInput, match=r"'gpt-9' is not known; known are bge-m3"):
        shape_called("gpt-9")


def test_the_llm_file_takes_numbers_from_architecture_or_folder(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "config.json").write_bytes(msgspec.json.encode(_config()))
    (tmp_path / "llms.toml").write_text(
        "[[llms]]\nname='a'\narchitecture='llama-3.1-8b'\nlayers=5\n"
        "[[llms]]\nname='b'\nmodel_path='weights'\n"
        "[[llms]]\nname='c'\nmodel_path='elsewhere'\nparameters=1e9\n"
    )
    a, b, c = read_llms(tmp_path / "llms.toml")
    assert (a.layers, a.hidden, a.architecture) == (5, 4096, "llama-3.1-8b")
    assert (b.layers, b.hidden, b.kv_heads, b.head_dim) == (2, 64, 2, 16)
    assert c.parameters == 1e9
    (tmp_path / "llms.toml").write_text("[[llms]]\nname='a'\narchitecture='lama'\n")
    with pytest.raises(BadInput, match=r"llms\.toml:1: LLM 'a': architecture 'lama'"):
        read_llms(tmp_path / "llms.toml")


def _config() -> dict[str, object]:
    return {
        "model_type": "qwen2",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 1000,
        "rope_theta": 1e6,
    }
