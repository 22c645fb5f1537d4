"""Tiny LLMs are what their files say they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scepsy.core.llm import LlmKind
from scepsy.engines.tiny import write_tiny_folder
from scepsy.engines.tiny.vocabulary import SPECIAL, vocabulary


def tensors(path: Path) -> dict[str, np.ndarray]:
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    body = data[8 + size :]
    found = {}
    covered = 0
    for name, told in header.items():
        begin, end = told["data_offsets"]
        assert begin == covered
        covered = end
        found[name] = np.frombuffer(body[begin:end], np.float16).reshape(told["shape"])
    assert covered == len(body)
    return found


@pytest.mark.parametrize("kind", ["generate", "embed", "rerank"])
def test_the_weights_have_the_shapes_that_the_config_tells(kind: LlmKind, tmp_path: Path) -> None:
    write_tiny_folder(tmp_path, kind=kind)
    config = json.loads((tmp_path / "config.json").read_text())
    found = tensors(tmp_path / "model.safetensors")
    stem = "" if kind == "embed" else "model."
    hidden, words = config["hidden_size"], config["vocab_size"]
    assert found[f"{stem}embed_tokens.weight"].shape == (words, hidden)
    kv = config["num_key_value_heads"] * config["head_dim"]
    for layer in range(config["num_hidden_layers"]):
        assert found[f"{stem}layers.{layer}.self_attn.k_proj.weight"].shape == (kv, hidden)
    heads = {"generate": {"lm_head.weight": words}, "rerank": {"score.weight": 1}, "embed": {}}
    for name, outputs in heads[kind].items():
        assert found[name].shape == (outputs, hidden)
    assert (tmp_path / "modules.json").exists() == (kind == "embed")


def test_the_same_seed_gives_the_same_llm(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_tiny_folder(tmp_path / name, seed=seed)
    weights = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in "abc"}
    assert weights["a"] == weights["b"] != weights["c"]


def test_without_weights(tmp_path: Path) -> None:
    write_tiny_folder(tmp_path, size="small", weights=False)
    assert not (tmp_path / "model.safetensors").exists()
    assert json.loads((tmp_path / "config.json").read_text())["hidden_size"] == 768


def test_the_vocabulary_is_one_that_merging_can_reach() -> None:
    tokens, merges = vocabulary()
    assert len(set(tokens)) == len(tokens) == 256 + len(merges) + len(SPECIAL)
    known = set(tokens[:256])
    for merge in merges:
        left, right = merge.split(" ")
        assert {left, right} <= known
        known.add(left + right)
    assert known == set(tokens) - set(SPECIAL)
