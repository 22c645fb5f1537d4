"""What an adapter to an engine provides: the command line that starts it, and its capabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.errors import BadInput
from scepsy.hardware.memory import kv_capacity, misfit
from scepsy.hardware.tensor_parallel import refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an engine does beyond answering chat and completions.

    Attributes:
        ignore_eos: with `ignore_eos`, an answer has exactly `max_tokens` tokens.
        token_prompts: a prompt may be a list of token ids.
        cached_tokens: usage contains the number of prompt tokens found in the prefix cache.
        metrics: GET /metrics uses vLLM's names.
        json_schema: an answer can be constrained to a JSON Schema.
        model_check: an unknown model name is refused with 404.
        strict: malformed requests that vLLM refuses are refused, max_tokens of 0 or -1 included.
        context_check: a prompt that is longer than the context, with max_tokens added, is refused.
        embeddings, rerank, score, responses: serves these endpoints (with an LLM of that kind).
        priority: waiting calls are ordered by the request's `priority`, the lowest first.
        gpu_share: an engine with a share of a GPU's compute runs accordingly slower.
    """

    ignore_eos: bool = False
    token_prompts: bool = False
    cached_tokens: bool = False
    metrics: bool = False
    json_schema: bool = False
    model_check: bool = False
    strict: bool = False
    context_check: bool = False
    embeddings: bool = False
    rerank: bool = False
    score: bool = False
    responses: bool = False
    priority: bool = False
    gpu_share: bool = False


@dataclass(frozen=True, slots=True)
class Launch:
    """A command that starts one engine.

    Attributes:
        argv: the command line.
        url: where the engine will listen.
        env: environment variables to add.
        ready_timeout: seconds until it must serve.
    """

    argv: tuple[str, ...]
    url: str
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    ready_timeout: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Options for every engine of a deployment or a profile.

    Attributes:
        seed: random seed.
        time_scale: factor by which an emulated engine is faster than the real GPU.
        host: address to listen on.
        exit_with_parent: whether the engine ends when the process that started it ends.
        image_python: the Python of the container image in which the engine will run; None for an
            engine on this machine. Folders and programs of this machine do not matter then.
    """

    seed: int = 0
    time_scale: float = 1.0
    host: str = "127.0.0.1"
    exit_with_parent: bool = False
    image_python: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineResources:
    """The GPUs and shares that a plan gives to one replica.

    Attributes:
        tp: tensor-parallel degree, that is, the number of GPUs.
        gpu_share, memory_share: part of the compute and of the memory of each GPU, 0 to 1.
        gpu_type: name of the GPU type, as in `hardware/gpus.json`.
        gpu_memory: bytes of memory of each GPU.
        gpus: indices of the GPUs on the node; empty where the engine may take any.
        boards: a file for each GPU in which the emulated engines there write what memory they hold
            and what memory bandwidth they use; empty for an engine alone on GPUs of its own.
    """

    tp: int = 1
    gpu_share: float = 1.0
    memory_share: float = 1.0
    gpu_type: str
    gpu_memory: float
    gpus: tuple[int, ...] = ()
    boards: tuple[str, ...] = ()

    def kv_tokens(self, llm: LlmSpec) -> int:
        """Tokens of KV cache that `llm` has here.

        Raises BadInput where it cannot start, because engines cannot split it over `tp` GPUs or its
        weights leave no memory for a KV cache.
        """
        tp, share, memory = self.tp, self.memory_share, self.gpu_memory
        reason = refusal(llm, tp) or misfit(llm, tp=tp, memory_share=share, gpu_memory=memory)
        if reason is not None:
            raise BadInput(f"LLM {reason}")
        return kv_capacity(llm, tp=tp, memory_share=share, gpu_memory=memory)


class Engine(Protocol):
    """An adapter to one kind of engine. It makes command lines and starts nothing.

    Every engine speaks the OpenAI API over HTTP in vLLM's dialect, answers GET /health with 200
    once it can serve, and ends on SIGTERM.
    """

    @property
    def kind(self) -> EngineKind: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def version(self) -> str:
        """The version that would be launched. Raises NotFound where none is installed."""
        ...

    def launch(
        self, llm: LlmSpec, resources: EngineResources, *, port: int, options: EngineOptions
    ) -> Launch:
        """The command for one replica of `llm`.

        Raises BadInput for an LLM that this engine cannot serve.
        """
        ...
