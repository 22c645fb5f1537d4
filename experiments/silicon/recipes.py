"""How each point's engine was started, as far as that is published.

The public benchmark's launch scripts are in its repository (SemiAnalysisAI/InferenceX, Apache-2.0;
before 2026: InferenceMAX): `benchmarks/` of the commit before the day of measurement. Of NVIDIA's
own measurements nothing is published; those engines are taken with their defaults, and what lengths
their calls had is inferred from TTFT: where equal calls stay in step, all wait for all prompts.
"""

from __future__ import annotations

from dataclasses import dataclass

from experiments.silicon.points import Point


@dataclass(frozen=True, slots=True)
class Recipe:
    """`step_tokens` of the largest step; bytes of an element of KV; `memory_share` of a GPU that
    the engine takes, or, with `of_free`, of what is left beside the weights; how many steps prompts
    are held back for (TensorRT-LLM's `batch_wait_timeout_iters`); `lengths` from and to which part
    of the nominal ones.
    """

    step_tokens: int = 8192
    kv_bytes: float = 2.0
    memory_share: float = 0.9
    of_free: bool = False
    wait_steps: int = 0
    lengths: tuple[float, float] = (0.8, 1.0)


NEWER_MINIMAX = "2026-04-01"
"""From then on its B200 script has fp8 KV, and steps of two prompts."""


def recipe(point: Point) -> Recipe:
    """Of a point."""
    of_free = point.backend == "trtllm"
    if not point.public:
        tight = point.group == ("qwen3-235b-a22b-fp8", "h200", "vllm")
        share = 0.95 if tight else 0.9
        in_step = of_free or point.group == ("qwen3-32b-bf16", "h100", "sglang")
        vary = 0.0 if in_step else 0.05
        return Recipe(memory_share=share, of_free=of_free, lengths=(1 - vary, 1 + vary))
    if point.llm == "llama-3.1-70b":
        # The H100's script asks for fp8 too, but its queues are those of bf16.
        kv = 2.0 if point.gpu == "h100" else 1.0
        if point.backend == "vllm":
            return Recipe(kv_bytes=kv)
        short = point.prompt_tokens == point.output_tokens == 1024 and point.tp < 8
        return Recipe(16384, kv, of_free=True, wait_steps=20 if short else 0)
    if point.llm == "gpt-oss-120b":
        kv = 1.0 if point.gpu == "b200" else 2.0
        if point.backend == "vllm":
            return Recipe(kv_bytes=kv if point.measured > "2025-11-30" else 2.0)
        return Recipe(20000, kv, 0.85, of_free=True)
    if point.llm == "minimax-m2.5" and point.gpu in ("b200", "b300"):
        if point.measured and point.measured < NEWER_MINIMAX:
            return Recipe(memory_share=0.95)
        return Recipe(2 * point.prompt_tokens, 1.0)
    if point.llm == "minimax-m2.5" and point.gpu == "h200":
        return Recipe(memory_share=0.95)
    return Recipe(of_free=of_free)


def whole_experts(point: Point) -> int:
    """How many ways experts are dealt out: where a script says so, as many as there are GPUs,
    whatever the data says. MiniMax's turned that on from 2026-03-13 (H200) and until April (B200).
    """
    by_script = {
        ("gpt-oss-120b", "h200", "trtllm"): point.public,
        ("minimax-m2.5", "h200", "vllm"): point.measured > "2026-03-13",
        ("minimax-m2.5", "b200", "vllm"): point.weights == "fp8" and point.measured < NEWER_MINIMAX,
    }
    return point.tp if by_script.get((point.llm, point.gpu, point.backend)) else point.ep
