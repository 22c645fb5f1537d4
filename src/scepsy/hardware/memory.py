"""GPU memory of an engine: weights, KV cache, and what the engine takes for itself.

The only module that does this arithmetic. The search's memory floors, the simulator, estimates, the
emulated engine and the launch flags of real engines all ask here, so they agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec

from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.errors import BadInput

BLOCK_TOKENS = 16
"""Tokens of KV per block, as in vLLM on GPUs."""

WORKING_BYTES_MAX = 2e9
"""Upper bound of an engine's working memory per GPU, in bytes. `EngineMemory.working` describes
small GPUs; on large ones the CUDA context (0.5 GB), the activations of one batch (1 to 1.5 GB) and
CUDA graphs do not grow further.
"""

GPU_MEMORY_MIN = 1e6
"""Bytes. A GPU with less memory than this was described in GB or MiB by mistake."""

_ROUNDING = 0.01
"""Fraction of a KV block that is ignored when blocks are counted, so that a memory share computed
from a number of tokens holds exactly that number.
"""


@dataclass(frozen=True, slots=True)
class EngineMemory:
    """How one kind of engine divides its share of a GPU's memory.

    Attributes:
        usable: part of its share, 0 to 1, that the engine fills. The rest stays free for what the
            engine does not count itself.
        working: part of a whole GPU's memory, 0 to 1, that it needs within the usable part beside
            weights and KV cache; at most `WORKING_BYTES_MAX`.
    """

    usable: float
    working: float

    def for_itself(self, *, memory_share: float, gpu_memory: float) -> float:
        """Bytes per GPU that hold neither weights nor KV cache."""
        unused = (1.0 - self.usable) * memory_share * gpu_memory
        return unused + min(WORKING_BYTES_MAX, self.working * gpu_memory)


ENGINE_MEMORY: dict[EngineKind, EngineMemory] = {
    # Nothing but what we say it needs: 1.6 GB of 80.
    "emulated": EngineMemory(usable=1.0, working=0.02),
    # `--gpu-memory-utilization`: 0.92 is vLLM's own default. The rest is for fragments and for the
    # CUDA contexts that vLLM does not count. Activations and graphs come out of the 0.92. On 80 GB
    # weights and KV get 72 GB, as a published estimator computes for vLLM on H100.
    "vllm": EngineMemory(usable=0.92, working=0.02),
    # `--mem-fraction-static` is weights and KV alone. SGLang itself sets 0.836 on an 80 GB GPU at
    # its chunks of 8,192 tokens (12.3 GB of activations, 0.5 GB of CUDA graphs).
    "sglang": EngineMemory(usable=0.83, working=0.0),
    # On a processor core: buffers of one batch.
    "llamacpp": EngineMemory(usable=1.0, working=0.02),
    # Somebody else's GPUs.
    "endpoint": EngineMemory(usable=1.0, working=0.0),
}


def blocks_for(tokens: int) -> int:
    """KV blocks that hold this many tokens."""
    return -(-tokens // BLOCK_TOKENS)


def weight_bytes(llm: LlmSpec, tp: int) -> float:
    """Bytes of weights on each GPU of a tensor-parallel group."""
    return llm.weight_bytes / tp


def kv_bytes_per_layer(llm: LlmSpec, tp: int) -> float:
    """Bytes of keys and values per token and layer on each GPU of a tensor-parallel group.

    A GPU holds at least one KV head: on more GPUs than KV heads, engines copy heads.
    """
    return llm.kv_bytes_per_layer / min(tp, llm.kv_heads)


def kv_bytes_per_token(llm: LlmSpec, tp: int) -> float:
    """Bytes of keys and values per token on each GPU of a tensor-parallel group. Layers with a
    sliding window do not count, since their cache stops growing.
    """
    return max(1, llm.layers - llm.window_layers) * kv_bytes_per_layer(llm, tp)


def with_copied_heads(llm: LlmSpec, tp: int) -> LlmSpec:
    """The LLM as a tensor-parallel group holds it in all: its `kv_bytes_per_token` count the copies
    of KV heads too.
    """
    return msgspec.structs.replace(llm, kv_heads=max(llm.kv_heads, tp))


def kv_capacity(llm: LlmSpec, *, tp: int, memory_share: float, gpu_memory: float) -> int:
    """Tokens of KV cache beside the weights, in whole blocks; negative where the weights alone do
    not fit. A replica gets `memory_share` of each of `tp` GPUs of `gpu_memory` bytes.
    """
    overhead = ENGINE_MEMORY[llm.engine].for_itself(
        memory_share=memory_share, gpu_memory=gpu_memory
    )
    room = memory_share * gpu_memory - overhead - weight_bytes(llm, tp)
    return math.floor(room / _block_bytes(llm, tp) + _ROUNDING) * BLOCK_TOKENS


def least_memory_share(llm: LlmSpec, *, tp: int, gpu_memory: float) -> float:
    """Smallest part of each GPU's memory with which a replica holds `min_kv_tokens` (one block at
    least); above 1 where whole GPUs are too small.

    Raises BadInput where the size of the LLM is unknown, or the GPU's is not in bytes.
    """
    check_size(llm)
    check_gpu_memory(gpu_memory)
    engine = ENGINE_MEMORY[llm.engine]
    kv = max(1, blocks_for(llm.min_kv_tokens)) * _block_bytes(llm, tp)
    working = engine.for_itself(memory_share=0.0, gpu_memory=gpu_memory)
    return (weight_bytes(llm, tp) + kv + working) / (engine.usable * gpu_memory)


def misfit(llm: LlmSpec, *, tp: int, memory_share: float, gpu_memory: float) -> str | None:
    """Why a replica of this size cannot start for lack of memory; None where it can."""
    if kv_capacity(llm, tp=tp, memory_share=memory_share, gpu_memory=gpu_memory) >= BLOCK_TOKENS:
        return None
    return (
        f"{llm.name!r} does not fit: {llm.weight_bytes / 1e9:.1f} GB of weights leave no room for "
        f"KV cache in {memory_share:g} of {tp} GPU(s) of {gpu_memory / 1e9:g} GB"
    )


def check_size(llm: LlmSpec) -> None:
    """Raises BadInput for an LLM whose number of weights is unknown."""
    if (problem := unknown_size(llm)) is not None:
        raise BadInput(f"LLM {llm.name!r}: {problem}")


def unknown_size(llm: LlmSpec) -> str | None:
    """What to do about an LLM whose number of weights is unknown; None where it is known."""
    if llm.hosted or llm.parameters > 0:
        return None
    return (
        "its size is not known; give `architecture`, `parameters`, or a `model_path` whose folder "
        "has a config.json"
    )


def check_gpu_memory(gpu_memory: float) -> None:
    """Raises BadInput where the number cannot be the bytes of a GPU."""
    if 0 < gpu_memory < GPU_MEMORY_MIN:
        meant = f"{gpu_memory:g}e9" if gpu_memory < 2000 else f"{gpu_memory * 2**20:.3g} (MiB)"
        raise BadInput(f"gpu_memory is in bytes; did you mean {meant}? It is {gpu_memory:g}")


def _block_bytes(llm: LlmSpec, tp: int) -> float:
    return BLOCK_TOKENS * kv_bytes_per_token(llm, tp)
