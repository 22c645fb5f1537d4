"""The same steps through vLLM's offline LLM class, random weights, from differences of two runs.

A decode step is what one more output token costs; the prompts are in the prefix cache by then. A
prefill is what one prompt costs beyond a prompt of a single block.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.gpu.jobs import Job, Point
from benchmarks.gpu.shapes import SHAPES, Shape

EXTRA = 32
"""Output tokens that a decode step is the mean of; the context grows by them."""
BLOCK = 128
"""Tokens: as many as a block of KV cache has at most (on CPU)."""
MOST_TOKENS = 2**17
"""Tokens of context, over the batch, that are worth a prefill to get there."""


def measure(job: Job, device: str, emit: Callable[[dict[str, Any]], None]) -> None:
    """Emits the step time of each point that vLLM can be made to run alone."""
    points = [point for point in job.points if _reachable(point)]
    longest = max(max(point.context, point.prefill + point.prefix) for point in points)
    with tempfile.TemporaryDirectory(prefix="llm-") as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config(SHAPES[job.llm], longest)))
        engine = Engine(folder, longest + 2 * EXTRA, device)
        floor = engine.prefill(Point(prefill=BLOCK))
        decode = engine.decode(Point(decodes=1, context=2 * BLOCK))
        for point in points:
            if point.decodes:
                seconds = engine.decode(point)
            else:
                # What is left of the floor is one step of one block, about as long as a decode.
                seconds = engine.prefill(point) - floor + decode
            emit({"record": "step", "engine": "vllm", "llm": job.llm, "prefill": point.prefill,
                  "prefix": point.prefix, "decodes": point.decodes, "context": point.context,
                  "seconds": seconds, "asked": 1.0, "share": 1.0, "mechanism": None})  # fmt: skip


class Engine:
    """vLLM in this process, asked for exact numbers of tokens."""

    def __init__(self, folder: str, context: int, device: str) -> None:
        os.environ.update(VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_NO_USAGE_STATS="1")
        from vllm import LLM, SamplingParams

        small: dict[str, Any] = {"dtype": "float32", "kv_cache_memory_bytes": 2**28}
        self._sampling = SamplingParams
        self._llm = LLM(
            model=folder,
            load_format="dummy",
            skip_tokenizer_init=True,
            max_model_len=context,
            max_num_batched_tokens=max(8192, context),
            enable_prefix_caching=True,
            enforce_eager=device == "cpu",
            disable_log_stats=True,
            **(small if device == "cpu" else {"dtype": "bfloat16"}),
        )
        self._fresh = 0

    def decode(self, point: Point) -> float:
        prompts = [self._prompt(point.context - EXTRA // 2) for _ in range(point.decodes)]
        self._run(prompts, 1)
        return statistics.median(
            (self._run(prompts, 1 + EXTRA) - self._run(prompts, 1)) / EXTRA for _ in range(3)
        )

    def prefill(self, point: Point) -> float:
        def one() -> float:
            prefix = self._prompt(point.prefix)
            if prefix:
                self._run([prefix], 1)
            return self._run([prefix + self._prompt(point.prefill)], 1)

        return statistics.median(one() for _ in range(5))

    def _prompt(self, tokens: int) -> list[int]:
        """Tokens that begin as no others did: each block of a cache depends on all before it."""
        self._fresh += 1
        first = [1 + self._fresh % 500, 1 + self._fresh // 500 % 500]
        return [*first, *(1 + index * 31 % 500 for index in range(tokens))][:tokens]

    def _run(self, prompts: list[list[int]], tokens: int) -> float:
        sampling = self._sampling(max_tokens=tokens, ignore_eos=True, detokenize=False)
        requests: Any = [{"prompt_token_ids": prompt} for prompt in prompts]
        start = time.perf_counter()
        self._llm.generate(requests, sampling, use_tqdm=False)
        return time.perf_counter() - start


def config(shape: Shape, context: int) -> dict[str, Any]:
    """A config.json of that shape. All of them Llamas: the sizes count, not the family."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "vocab_size": shape.vocab,
        "max_position_embeddings": context + 2 * EXTRA,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": shape.tied,
        "torch_dtype": "bfloat16",
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def _reachable(point: Point) -> bool:
    if point.prefill and point.decodes:
        return False
    return max(point.context, point.prefill) >= BLOCK and point.kv_tokens <= MOST_TOKENS
