"""Makes a tiny random LLM as a GGUF file: a Qwen3 of a few million parameters with a byte-level
tokenizer.

It writes nonsense, the same for the same seed, and exercises every code path of a real engine. As
an embedder or reranker it is smaller, as real ones are. `python -m scepsy.engines.llamacpp.tiny
PATH` writes one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np

from scepsy.core.llm import LlmKind
from scepsy.engines.tiny.vocabulary import CHAT_TEMPLATE, SPECIAL, likelihood, vocabulary

HEADS = 4
"""Attention heads of each layer."""

KV_HEADS = 2
"""Heads with keys and values of their own: fewer, as in today's LLMs."""

CONTEXT = 8192
"""Tokens of prompt and answer together."""

_SIZES: dict[LlmKind, tuple[int, int]] = {
    "generate": (2, 256),
    "embed": (1, 128),
    "rerank": (1, 128),
}
"""The number of layers and their width."""

_FOCUS = 2.0
"""Scale of queries and keys. At this scale attention selects few tokens, so that answers depend on
the prompt.
"""


def write_tiny_llm(path: Path, kind: LlmKind = "generate", *, seed: int = 0) -> None:
    """Writes a GGUF file of 3 to 8 MB to `path`. The same seed gives the same LLM.

    A reranker has a head with the labels yes and no, as Qwen3-Reranker has.
    """
    tokens, merges = vocabulary()
    (layers, hidden), rng = _SIZES[kind], np.random.default_rng(seed)
    writer = gguf.GGUFWriter(str(path), "qwen3")
    writer.add_name("tiny-random")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(hidden)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(3 * hidden)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(hidden // HEADS)
    writer.add_value_length(hidden // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    _add_tokenizer(writer, tokens, merges)
    tensors = _tensors(tokens, layers, hidden, rng)
    if kind == "rerank":
        writer.add_pooling_type(gguf.PoolingType.RANK)
        writer.add_classifier_output_labels(["yes", "no"])
        tensors["cls.output.weight"] = _random(rng, 2, hidden)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: gguf.GGUFWriter, tokens: list[str], merges: list[str]) -> None:
    special = len(SPECIAL)
    normal = [gguf.TokenType.NORMAL] * (len(tokens) - special)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(normal + [gguf.TokenType.CONTROL] * special)
    writer.add_token_merges(merges)
    end = tokens.index("<|end|>")
    writer.add_eos_token_id(end)
    writer.add_bos_token_id(end)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _tensors(
    tokens: list[str], layers: int, hidden: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    ones = np.ones(hidden, np.float32)
    head_norm = np.full(hidden // HEADS, _FOCUS, np.float32)
    kv = hidden // HEADS * KV_HEADS
    likely = np.array([likelihood(token) for token in tokens], np.float32)[:, None]
    tensors = {
        "token_embd.weight": _random(rng, len(tokens), hidden),
        "output_norm.weight": ones,
        "output.weight": likely * _random(rng, len(tokens), hidden),
    }
    for layer in range(layers):
        parts = {
            "attn_norm": ones,
            "attn_q": _random(rng, hidden, hidden),
            "attn_k": _random(rng, kv, hidden),
            "attn_v": _random(rng, kv, hidden),
            "attn_q_norm": head_norm,
            "attn_k_norm": head_norm,
            "attn_output": _random(rng, hidden, hidden),
            "ffn_norm": ones,
            "ffn_gate": _random(rng, 3 * hidden, hidden),
            "ffn_up": _random(rng, 3 * hidden, hidden),
            "ffn_down": _random(rng, hidden, 3 * hidden),
        }
        tensors |= {f"blk.{layer}.{name}.weight": part for name, part in parts.items()}
    return tensors


def _random(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(0.0, shape[-1] ** -0.5, shape).astype(np.float32)


if __name__ == "__main__":
    write_tiny_llm(Path(sys.argv[1]))
