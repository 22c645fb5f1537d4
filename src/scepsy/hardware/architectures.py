"""From a Hugging Face `config.json` to the shape of an LLM; the shapes that ship with Scepsy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from scepsy.core.llm import Experts
from scepsy.errors import BadInput
from scepsy.hardware.quantization import Precision, precision_of

LlmFields = dict[str, Any]
"""Fields of `LlmSpec`, by name."""

_GATED = frozenset({"llama", "mistral", "qwen2", "qwen3"})
_MIXTURES = frozenset({"gpt_oss", "minimax_m2", "mixtral", "qwen3_moe"})
_ENCODERS = frozenset({"bert", "xlm-roberta"})
_KNOWN = ", ".join(sorted(_GATED | _MIXTURES | _ENCODERS))
_DEFAULT_CONTEXT = 8192
_SAME_SIZE = re.compile(r"-(instruct|chat|it|base|thinking|v\d+(\.\d+)?|\d{4})(?=-|$)")


class _Config(msgspec.Struct):
    """What we read of a `config.json`; the rest passes by."""

    model_type: str
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    vocab_size: int
    intermediate_size: int
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    max_position_embeddings: int = _DEFAULT_CONTEXT
    tie_word_embeddings: bool = False
    architectures: tuple[str, ...] = ()
    sliding_window: int | None = None
    layer_types: tuple[str, ...] = ()
    num_experts: int | None = None
    num_local_experts: int | None = None
    num_experts_per_tok: int = 0
    moe_intermediate_size: int | None = None


class _Family(msgspec.Struct):
    """Read first, so that an unknown family is refused by name and not for a missing field."""

    model_type: str = ""


@cache
def _configs() -> Mapping[str, dict[str, Any]]:
    content = files("scepsy.hardware").joinpath("architectures.json").read_bytes()
    return msgspec.json.decode(content, type=dict[str, dict[str, Any]])


@cache
def shipped() -> Mapping[str, LlmFields]:
    """The shapes that ship with Scepsy, by name. Facts from the LLMs' published configurations."""
    return {name: shape_of(config) for name, config in _configs().items()}


def most_context(name: str) -> int:
    """The most tokens that a shipped architecture can hold, prompt and output together."""
    return _configs()[name]["max_position_embeddings"]


def shape_like(name: str) -> str | None:
    """The shipped architecture that an LLM's name stands for: `Qwen/Qwen3-8B` is `qwen3-8b`. A
    suffix that does not change the shape (`-Instruct`, a date) is ignored. None for other names.
    """
    plain = name.rpartition("/")[2].lower().removeprefix("meta-").replace("_", "-")
    plain = _SAME_SIZE.sub("", plain)
    return plain if plain in _configs() else None


def shape_called(name: str) -> LlmFields:
    """A shipped shape. Raises BadInput for a name that we do not know."""
    try:
        return shipped()[name]
    except KeyError:
        known = ", ".join(sorted(shipped()))
        raise BadInput(f"architecture {name!r} is not known; known are {known}") from None


def shape_of(content: Mapping[str, Any]) -> LlmFields:
    """The shape that a decoded `config.json` describes.

    `kind` follows from the class that it names: an encoder embeds, a classifier reranks, all others
    generate. An embedder or reranker that was made from a decoder does not say so; set `kind` in
    the LLM file.

    Raises:
        BadInput: an unknown family, or missing fields.
    """
    try:
        family = msgspec.convert(content, _Family).model_type
        if family and family not in _GATED | _MIXTURES | _ENCODERS:
            raise BadInput(f"config.json: model_type {family!r}; we know {_KNOWN}")
        config = msgspec.convert(content, _Config)
    except msgspec.ValidationError as error:
        raise BadInput(f"config.json: {error}") from None
    kind = content.get("kind") or _kind(config)
    heads, layers = config.num_attention_heads, config.num_hidden_layers
    table = float(config.vocab_size * config.hidden_size)
    head = table if kind == "generate" else 0.0
    lookup = 0.0 if head and config.tie_word_embeddings else table
    attention = _attention_parameters(config) / _layer_parameters(config)
    precision = precision_of(content, layers=layers, attention=attention)
    experts = _experts(config, precision)
    parameters = lookup + head + layers * _layer_parameters(config)
    windowed = sum(kind == "sliding_attention" for kind in config.layer_types)
    return {
        "kind": kind,
        "parameters": parameters + (experts.parameters if experts else 0.0),
        "lookup_parameters": lookup,
        "head_parameters": head,
        "layers": layers,
        "hidden": config.hidden_size,
        "heads": heads,
        "kv_heads": config.num_key_value_heads or heads,
        "head_dim": _head_dim(config),
        "intermediate": 0 if experts else config.intermediate_size,
        "experts": experts,
        "window": (config.sliding_window or 0) if windowed else 0,
        "window_layers": windowed,
        "max_context": min(_DEFAULT_CONTEXT, config.max_position_embeddings),
        **precision.fields(),
    }


def _kind(config: _Config) -> str:
    if any("SequenceClassification" in name for name in config.architectures):
        return "rerank"
    return "embed" if config.model_type in _ENCODERS else "generate"


def _head_dim(config: _Config) -> int:
    return config.head_dim or config.hidden_size // config.num_attention_heads


def _layer_parameters(config: _Config) -> float:
    """Weights of one layer, without experts; biases and norms are below a thousandth."""
    attention = _attention_parameters(config)
    if config.model_type in _MIXTURES:
        return float(attention + config.hidden_size * _expert_count(config))
    matrices = 2 if config.model_type in _ENCODERS else 3
    return float(attention + matrices * config.hidden_size * config.intermediate_size)


def _attention_parameters(config: _Config) -> int:
    kv_heads = config.num_key_value_heads or config.num_attention_heads
    return 2 * config.hidden_size * _head_dim(config) * (config.num_attention_heads + kv_heads)


def _expert_count(config: _Config) -> int:
    return config.num_local_experts or config.num_experts or 0


def _experts(config: _Config, precision: Precision) -> Experts | None:
    if config.model_type not in _MIXTURES:
        return None
    count, inner = _expert_count(config), config.moe_intermediate_size or config.intermediate_size
    return Experts(
        count=count,
        active=config.num_experts_per_tok,
        parameters=float(config.num_hidden_layers * count * 3 * config.hidden_size * inner),
        bytes_per_parameter=precision.expert_bytes,
        intermediate=inner,
        weight_block=precision.expert_block,
    )
