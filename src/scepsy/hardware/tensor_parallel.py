"""Tensor-parallel degrees into which the shape of an LLM divides.

Engines split every layer over the GPUs of a group, and refuse to start if a part would not be
whole. The rules are those of vLLM and SGLang.
"""

from __future__ import annotations

from collections.abc import Iterator

from scepsy.core.llm import LlmSpec

UNSPLIT = frozenset({"bitsandbytes"})
"""Formats of quantised checkpoints that engines load on one GPU only."""


def degrees(llm: LlmSpec, widest: int) -> Iterator[int]:
    """Powers of two up to `max_tp` and `widest` (GPUs of the largest NVLink domain), in rising
    order. The shape may not divide into all of them.
    """
    tp = 1
    while tp <= min(llm.max_tp, widest):
        yield tp
        tp *= 2


def refusal(llm: LlmSpec, tp: int) -> str | None:
    """Why engines refuse to split the LLM over `tp` GPUs; None if they accept it.

    An unknown dimension (0) is no reason to refuse. Nor is the vocabulary, which engines pad.
    """
    if tp == 1:
        return None
    reason = _format(llm) or _attention(llm, tp) or _feed_forward(llm, tp)
    return None if reason is None else f"{llm.name!r} cannot run at TP{tp}: {reason}"


def _format(llm: LlmSpec) -> str | None:
    if llm.quantization in UNSPLIT:
        return f"engines do not split {llm.quantization} checkpoints"
    return None


def _attention(llm: LlmSpec, tp: int) -> str | None:
    heads = attention_heads(llm)
    if heads and heads % tp:
        return f"its {heads} attention heads do not divide by {tp}"
    if llm.kv_heads % tp and tp % llm.kv_heads:
        return f"its {llm.kv_heads} KV heads do not divide by {tp}, nor {tp} by them"
    if not heads:
        return None
    rows, columns = llm.weight_block
    queries = heads * llm.head_dim
    keys = max(llm.kv_heads, tp) * llm.head_dim
    return (
        _uneven("query rows", queries, tp, rows, llm.quantization)
        or _uneven("key rows", keys, tp, rows, llm.quantization)
        or _uneven("attention output columns", queries, tp, columns, llm.quantization)
    )


def _feed_forward(llm: LlmSpec, tp: int) -> str | None:
    found = _uneven(
        "intermediate size", llm.intermediate, tp, max(llm.weight_block), llm.quantization
    )
    if found is None and llm.experts is not None:
        experts = llm.experts
        block = max(experts.weight_block)
        found = _uneven(
            "experts' intermediate size", experts.intermediate, tp, block, llm.quantization
        )
    return found


def attention_heads(llm: LlmSpec) -> int:
    """Query heads; 0 where the shape is not known."""
    if llm.heads or llm.hidden <= 1:
        return llm.heads
    return llm.hidden // llm.head_dim


def _uneven(what: str, size: int, tp: int, block: int, quantization: str) -> str | None:
    if size % tp:
        return f"its {what} of {size} does not divide by {tp}"
    if size // tp % block:
        return (
            f"its {what}, {size} / {tp} = {size // tp}, is no multiple of the "
            f"{quantization.upper()} block of {block}"
        )
    return None
