"""Makes random weights and writes them as a safetensors file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scepsy.core.llm import LlmKind
from scepsy.engines.tiny.shape import TinySize
from scepsy.engines.tiny.vocabulary import likelihood

_FOCUS = 4.0
"""Scale of the queries. At this scale attention selects few tokens, so that answers depend on the
prompt.
"""

Tensor = npt.NDArray[np.float16]


def random_weights(
    kind: LlmKind, shape: TinySize, tokens: Sequence[str], seed: int
) -> Iterable[tuple[str, Tensor]]:
    """The tensors of a Llama, under the names that transformers uses.

    An embedder has no output head. A reranker has a head with a single output.
    """
    rng = np.random.default_rng(seed)

    def random(*size: int) -> Tensor:
        drawn = rng.standard_normal(size, np.float32) * np.float32(size[-1] ** -0.5)
        return drawn.astype(np.float16)

    ones = np.ones(shape.hidden, np.float16)
    hidden, kv, wide = shape.hidden, shape.kv_heads * shape.head_dim, shape.feed_forward
    stem = "" if kind == "embed" else "model."
    yield f"{stem}embed_tokens.weight", random(len(tokens), hidden)
    for layer in range(shape.layers):
        block = f"{stem}layers.{layer}."
        yield f"{block}input_layernorm.weight", ones
        yield f"{block}self_attn.q_proj.weight", random(hidden, hidden) * np.float16(_FOCUS)
        yield f"{block}self_attn.k_proj.weight", random(kv, hidden)
        yield f"{block}self_attn.v_proj.weight", random(kv, hidden)
        yield f"{block}self_attn.o_proj.weight", random(hidden, hidden)
        yield f"{block}post_attention_layernorm.weight", ones
        yield f"{block}mlp.gate_proj.weight", random(wide, hidden)
        yield f"{block}mlp.up_proj.weight", random(wide, hidden)
        yield f"{block}mlp.down_proj.weight", random(hidden, wide)
    yield f"{stem}norm.weight", ones
    if kind == "generate":
        likely = np.array([[likelihood(token)] for token in tokens], np.float16)
        yield "lm_head.weight", random(len(tokens), hidden) * likely
    elif kind == "rerank":
        yield "score.weight", random(1, hidden)


def write_safetensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes the length of a JSON header (8 bytes, little-endian), the header, and the tensors one
    after another.
    """
    header: dict[str, object] = {}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": "F16", "shape": tensor.shape, "data_offsets": (begin, end)}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for tensor in tensors.values():
            file.write(tensor.tobytes())
