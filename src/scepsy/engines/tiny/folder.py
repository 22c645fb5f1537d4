"""Writes an LLM as the folder that vLLM, SGLang and transformers load."""

from __future__ import annotations

import json
from pathlib import Path

from scepsy.core.llm import LlmKind
from scepsy.engines.tiny.shape import SHAPES, Size, TinySize
from scepsy.engines.tiny.vocabulary import CHAT_TEMPLATE, SPECIAL, vocabulary
from scepsy.engines.tiny.weights import random_weights, write_safetensors

_ARCHITECTURES: dict[LlmKind, str] = {
    "generate": "LlamaForCausalLM",
    "embed": "LlamaModel",
    "rerank": "LlamaForSequenceClassification",
}


def write_tiny_folder(
    folder: Path,
    *,
    kind: LlmKind = "generate",
    size: Size = "tiny",
    weights: bool = True,
    seed: int = 0,
) -> None:
    """Writes a random Llama of that kind: 6 MB of float16 (tiny) or 150 MB (small). The same seed
    gives the same LLM.

    Without weights the folder has a few kilobytes, for engines that make random weights themselves
    (`--load-format dummy`).
    """
    shape = SHAPES[size]
    tokens, merges = vocabulary()
    folder.mkdir(parents=True, exist_ok=True)
    end = tokens.index(SPECIAL[0])
    files: dict[str, object] = {
        "config.json": _config(kind, shape, len(tokens), end),
        "tokenizer.json": _tokenizer(tokens, merges),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": SPECIAL[0],
            "pad_token": SPECIAL[0],
            "model_max_length": shape.context,
            "chat_template": CHAT_TEMPLATE,
        },
    }
    if kind == "generate":
        files["generation_config.json"] = {"eos_token_id": end, "pad_token_id": end}
    if kind == "embed":
        files |= _mean_pooling(shape)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=1))
    if weights:
        drawn = dict(random_weights(kind, shape, tokens, seed))
        write_safetensors(folder / "model.safetensors", drawn)


def _config(kind: LlmKind, shape: TinySize, vocabulary: int, end: int) -> dict[str, object]:
    config: dict[str, object] = {
        "architectures": [_ARCHITECTURES[kind]],
        "model_type": "llama",
        "dtype": "float16",
        "vocab_size": vocabulary,
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.feed_forward,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "max_position_embeddings": shape.context,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": end,
        "pad_token_id": end,
    }
    if kind == "rerank":
        config["num_labels"] = 1
    return config


def _tokenizer(tokens: list[str], merges: list[str]) -> dict[str, object]:
    """A byte-level BPE tokenizer in the format of the tokenizers library."""
    ordinary = tokens[: -len(SPECIAL)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": len(ordinary) + index, "content": text, **plain, "special": True}
            for index, text in enumerate(SPECIAL)
        ],
        "normalizer": None,
        "pre_tokenizer": {**byte_level, "use_regex": True},
        "post_processor": None,
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: index for index, token in enumerate(ordinary)},
            "merges": merges,
        },
    }


def _mean_pooling(shape: TinySize) -> dict[str, object]:
    """The files with which sentence-transformers describes mean pooling and normalisation."""
    modules = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    return {
        "modules.json": [
            {
                "idx": index,
                "name": str(index),
                "path": path,
                "type": f"sentence_transformers.models.{name}",
            }
            for index, (path, name) in enumerate(modules)
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": shape.hidden,
            "pooling_mode_mean_tokens": True,
        },
        "2_Normalize/config.json": {},
    }
