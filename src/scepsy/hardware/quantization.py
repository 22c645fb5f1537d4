"""How many bits the weights of a checkpoint have, from its quantisation settings.

Every quantisation tool writes its settings in its own form. A form that we cannot read for certain
is refused by name: assuming 16 bits would plan for two to four times the memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, cast

from scepsy.errors import BadInput

Settings = Mapping[str, Any]
"""A decoded `quantization_config`."""

PLAIN_BYTES = 2.0
"""Bytes per weight of bf16 and fp16, in which engines load float32 checkpoints, too."""

SCALE_BITS = 16
"""Bits of the scale that a group of integer weights shares."""

_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_DENSE = ("gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """One number format of weights.

    Attributes:
        bits: per weight, its part of the scales included.
        fp8: whether products are computed in fp8.
        block: rows and columns that share a scale and that tensor parallelism cannot split.
    """

    bits: float
    fp8: bool = False
    block: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class Precision:
    """Bytes per weight of a checkpoint, and its blocks: `body` is attention and dense layers.

    `format` is the checkpoint's name for its quantisation; empty if it is not quantised.
    """

    format: str = ""
    body_bytes: float = PLAIN_BYTES
    body_block: tuple[int, int] = (1, 1)
    expert_bytes: float = PLAIN_BYTES
    expert_block: tuple[int, int] = (1, 1)
    fp8: bool = False

    def fields(self) -> dict[str, Any]:
        """The fields of `LlmSpec` that hold it, without those of the experts."""
        return {
            "bytes_per_parameter": self.body_bytes,
            "fp8": self.fp8,
            "quantization": self.format,
            "weight_block": self.body_block,
        }


def precision_of(
    config: Mapping[str, Any], *, layers: int = 1, attention: float = 0.25
) -> Precision:
    """The precision that a decoded `config.json` states.

    `attention` is the fraction, 0 to 1, of a layer's non-expert weights that belongs to attention.
    It matters where a checkpoint quantises only some matrices.

    Raises BadInput, with the name of the format, for an unknown one.
    """
    settings = _settings(config)
    if settings is None:
        return Precision()
    method = str(settings.get("quant_method", "")).lower().replace("_", "-")
    if method == "mxfp4":
        return Precision(format=method, expert_bytes=4.25 / 8)  # 4 bits, one of 8 for each 32
    reader = _READERS.get(method)
    if reader is None:
        known = ", ".join(sorted((*_READERS, "mxfp4")))
        raise BadInput(f"config.json: quant_method {method!r} is not known; we know {known}")
    weights = reader(settings)
    if weights is None:
        return Precision()
    dense = _kept_plain(settings, layers, "mlp", _DENSE)
    body = attention * _kept_plain(settings, layers, "self_attn", _ATTENTION)
    body += (1 - attention) * dense
    experts = _kept_plain(settings, layers, "mlp.experts.0", _DENSE)
    return Precision(
        format=method,
        body_bytes=_mean_bytes(weights, body),
        body_block=weights.block if body < 1 else (1, 1),
        expert_bytes=_mean_bytes(weights, experts),
        expert_block=weights.block if experts < 1 else (1, 1),
        fp8=weights.fp8 and body < 1,
    )


def _settings(config: Mapping[str, Any]) -> Settings | None:
    """The settings of the checkpoint, or of the text part of a multimodal one."""
    for holder in (config, _table(config.get("text_config"))):
        for key in ("quantization_config", "compression_config"):
            if found := _table(holder.get(key)):
                return found
    return None


def _table(value: object) -> Settings:
    return cast("Settings", value) if isinstance(value, Mapping) else {}


def _fp8(settings: Settings) -> WeightFormat:
    block = settings.get("weight_block_size")
    if not block:
        return WeightFormat(8.0, fp8=True)
    rows, columns = (_count(size, "weight_block_size") for size in block)
    return WeightFormat(8.0 + 32 / (rows * columns), fp8=True, block=(rows, columns))


def _modelopt(settings: Settings) -> WeightFormat:
    algorithm = str(settings.get("quant_algo") or "").upper()
    size = _count(settings.get("group_size") or 0, "group_size")
    match algorithm:
        case "FP8" | "FP8_PER_CHANNEL_PER_TOKEN":
            return WeightFormat(8.0, fp8=True)
        case "FP8_PB_WO":
            return WeightFormat(8.0, fp8=True, block=(128, 128))
        case "NVFP4":
            return _grouped(4, size or 16, scale_bits=8)
        case "MXFP8":
            return _grouped(8, size or 32, scale_bits=8)
        case "W4A8_AWQ" | "W4A16_AWQ":
            return _grouped(4, size or 128)
        case _:
            raise BadInput(f"config.json: quant_algo {algorithm!r} of modelopt is not known")


def _compressed_tensors(settings: Settings) -> WeightFormat | None:
    """None where nothing but activations or the KV cache is quantised."""
    if _table(settings.get("sparsity_config")).get("format", "dense") != "dense":
        raise BadInput("config.json: sparse weights of compressed-tensors are not supported")
    groups = [_table(group) for group in _table(settings.get("config_groups")).values()]
    found = {_compressed_group(_table(group.get("weights"))) for group in groups}
    if len(found) > 1:
        raise BadInput(
            "config.json: groups of different bits in compressed-tensors are not supported; give "
            "`parameters` and `bytes_per_parameter`"
        )
    if not found:
        raise BadInput("config.json: compressed-tensors without config_groups")
    return found.pop()


def _compressed_group(weights: Settings) -> WeightFormat | None:
    if not weights:
        return None
    bits = _bits(weights, "num_bits")
    floating = weights.get("type") == "float"
    fp8 = floating and bits == 8
    match weights.get("strategy"):
        case "block":
            rows, columns = (
                _count(size, "block_structure") for size in weights.get("block_structure") or ()
            )
            return WeightFormat(bits + 32 / (rows * columns), fp8=fp8, block=(rows, columns))
        case "group" | "tensor_group":
            size = _count(weights.get("group_size"), "group_size")
            return _grouped(bits, size, scale_bits=8 if floating and bits == 4 else SCALE_BITS)
        case _:
            return WeightFormat(bits, fp8=fp8)


def _integers(settings: Settings) -> WeightFormat:
    """AWQ, GPTQ and AutoRound: a scale and a zero point for each group of a row."""
    key = next((key for key in ("bits", "w_bit", "wbits") if key in settings), "bits")
    bits = _bits(settings, key)
    _refuse_mixed(settings, bits)
    size = settings.get("group_size", settings.get("q_group_size", -1))
    if size in (-1, None):
        return WeightFormat(bits)
    return _grouped(bits, _count(size, "group_size"), zero_bits=bits)


def _refuse_mixed(settings: Settings, bits: int) -> None:
    """GPTQModel's `dynamic` and AutoRound's `extra_config` may give some layers other bits."""
    for key in ("dynamic", "extra_config"):
        for pattern, own in _table(settings.get(key)).items():
            if _table(own).get("bits", bits) not in (bits, 16) and not pattern.startswith("-:"):
                raise BadInput(
                    f"config.json: {key} gives some layers other bits, which is not supported; "
                    "give `parameters` and `bytes_per_parameter`"
                )


def _bitsandbytes(settings: Settings) -> WeightFormat:
    if settings.get("load_in_4bit") or settings.get("_load_in_4bit"):
        return WeightFormat(4.5)  # a 32-bit scale for each 64; less with nested scales
    if settings.get("load_in_8bit") or settings.get("_load_in_8bit"):
        return WeightFormat(8.0)
    raise BadInput("config.json: bitsandbytes with neither load_in_4bit nor load_in_8bit")


_READERS: Mapping[str, Callable[[Settings], WeightFormat | None]] = {
    "autoround": _integers,
    "auto-round": _integers,
    "awq": _integers,
    "awq-marlin": _integers,
    "bitsandbytes": _bitsandbytes,
    "compressed-tensors": _compressed_tensors,
    "fbgemm-fp8": lambda _settings: WeightFormat(8.0, fp8=True),
    "fp8": _fp8,
    "gptq": _integers,
    "gptq-marlin": _integers,
    "modelopt": _modelopt,
    "modelopt-fp4": _modelopt,
}


def _grouped(
    bits: int, group: int, *, scale_bits: int = SCALE_BITS, zero_bits: int = 0
) -> WeightFormat:
    return WeightFormat(bits + (scale_bits + zero_bits) / group, block=(1, group))


def _bits(settings: Settings, key: str) -> int:
    bits = _count(settings.get(key), key)
    if bits > 16:
        raise BadInput(f"config.json: {key} = {bits} is not known")
    return bits


def _count(value: object, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadInput(f"config.json: {key} = {value!r} is no whole number")
    return value


def _mean_bytes(weights: WeightFormat, plain: float) -> float:
    return plain * PLAIN_BYTES + (1 - plain) * weights.bits / 8


def _kept_plain(settings: Settings, layers: int, holder: str, names: Iterable[str]) -> float:
    """The fraction of these matrices, over all layers, that the settings leave in 16 bits."""
    patterns = [str(one) for key in _EXCEPTIONS for one in _listed(settings.get(key))]
    modules = [f"model.layers.{i}.{holder}.{name}" for i in range(layers) for name in names]
    plain = sum(any(_matches(pattern, module) for pattern in patterns) for module in modules)
    return plain / len(modules)


_EXCEPTIONS = (
    "modules_to_not_convert",
    "ignored_layers",
    "ignore",
    "exclude_modules",
    "llm_int8_skip_modules",
)
"""Keys under which formats list what they leave as it was."""


def _listed(value: object) -> Iterable[object]:
    return cast("Iterable[object]", value) if isinstance(value, list | tuple) else ()


def _matches(pattern: str, module: str) -> bool:
    """Regular expressions after `re:`, wildcards, or a run of whole parts of the name."""
    if pattern.startswith("re:"):
        return re.match(pattern[3:], module) is not None
    if "*" in pattern:
        return fnmatchcase(module, pattern) or fnmatchcase(module, f"{pattern}.*")
    return f".{pattern}." in f".{module}."
