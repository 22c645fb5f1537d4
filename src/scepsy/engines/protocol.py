"""What Scepsy asks of an engine: its command line, and what it can be relied on for."""

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
        ignore_eos: `ignore_eos` with `max_tokens` gives exactly so many tokens.
        token_prompts: a prompt may be a list of token ids.
        cached_tokens: usage tells how much of the prompt was in the prefix cache.
        metrics: GET /metrics has vLLM's names.
        json_schema: an answer can be bound to a JSON Schema.
        model_check: an unknown model name is refused with 404.
        strict: refuses the malformed requests that vLLM refuses, max_tokens of 0 or -1 included.
        context_check: refuses a prompt that with max_tokens is longer than the context.
        embeddings, rerank, score, responses: serves these endpoints (with an LLM of that kind).
        priority: waiting calls go by the request's `priority`, the lower first.
        gpu_share: a share of a GPU's compute below one slows it down accordingly.
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
    """A command that starts one engine, where it will listen, what its environment needs, and the
    seconds that it may take until it serves.
    """

    argv: tuple[str, ...]
    url: str
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    ready_timeout: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How to run an engine, whatever it serves.

    Attributes:
        seed: of whatever is drawn at random.
        time_scale: how many times faster than the real thing an emulated engine runs.
        host: address to listen on.
        exit_with_parent: end with the process that started it; otherwise it outlives that.
    """

    seed: int = 0
    time_scale: float = 1.0
    host: str = "127.0.0.1"
    exit_with_parent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """What a plan gives one replica.

    Attributes:
        tp: GPUs that its weights are split over.
        gpu_share, memory_share: part of the compute and of the memory of each of them.
        gpu_type, gpu_memory: which GPUs, and bytes of memory of each.
        gpus: their indices on the node; empty where the engine may take any.
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

        Raises BadInput where it cannot start: engines do not split it over `tp` GPUs, or its
        weights leave no room.
        """
        tp, share, memory = self.tp, self.memory_share, self.gpu_memory
        reason = refusal(llm, tp) or misfit(llm, tp=tp, memory_share=share, gpu_memory=memory)
        if reason is not None:
            raise BadInput(f"LLM {reason}")
        return kv_capacity(llm, tp=tp, memory_share=share, gpu_memory=memory)


class Engine(Protocol):
    """An adapter to one kind of engine. It knows the engine; it starts nothing.

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

    def launch(self, llm: LlmSpec, seat: Seat, *, port: int, options: EngineOptions) -> Launch:
        """The command for one replica of `llm`.

        Raises BadInput for an LLM that this engine cannot serve.
        """
        ...
