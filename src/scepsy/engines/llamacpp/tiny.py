"""Makes a tiny random LLM on the spot: a Llama of a few million parameters with a byte-level
tokenizer.

It writes nonsense, deterministically, through every code path of a real engine. Run as
`python -m scepsy.engines.llamacpp.tiny PATH`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np

from scepsy.engines.tiny.vocabulary import CHAT_TEMPLATE, SPECIAL, vocabulary

LAYERS, HIDDEN, FEED_FORWARD = 4, 256, 768
HEADS, KV_HEADS = 4, 2
CONTEXT = 4096


def write_tiny_llm(path: Path, *, seed: int = 0) -> None:
    """Write about 13 MB of GGUF to `path`, in under a second. The same seed gives the same LLM."""
    tokens, merges = vocabulary()
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny-random")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(len(tokens))
    _add_tokenizer(writer, tokens, merges)
    for name, tensor in _tensors(len(tokens), np.random.default_rng(seed)):
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


def _tensors(vocabulary: int, rng: np.random.Generator) -> list[tuple[str, np.ndarray]]:
    def random(*shape: int) -> np.ndarray:
        return rng.normal(0.0, shape[-1] ** -0.5, shape).astype(np.float32)

    ones = np.ones(HIDDEN, np.float32)
    kv = HIDDEN // HEADS * KV_HEADS
    tensors = [
        ("token_embd.weight", random(vocabulary, HIDDEN)),
        ("output_norm.weight", ones),
        ("output.weight", random(vocabulary, HIDDEN)),
    ]
    for layer in range(LAYERS):
        tensors += [
            (f"blk.{layer}.attn_norm.weight", ones),
            (f"blk.{layer}.attn_q.weight", random(HIDDEN, HIDDEN)),
            (f"blk.{layer}.attn_k.weight", random(kv, HIDDEN)),
            (f"blk.{layer}.attn_v.weight", random(kv, HIDDEN)),
            (f"blk.{layer}.attn_output.weight", random(HIDDEN, HIDDEN)),
            (f"blk.{layer}.ffn_norm.weight", ones),
            (f"blk.{layer}.ffn_gate.weight", random(FEED_FORWARD, HIDDEN)),
            (f"blk.{layer}.ffn_up.weight", random(FEED_FORWARD, HIDDEN)),
            (f"blk.{layer}.ffn_down.weight", random(HIDDEN, FEED_FORWARD)),
        ]
    return tensors


if __name__ == "__main__":
    write_tiny_llm(Path(sys.argv[1]))
