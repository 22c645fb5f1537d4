"""Makes the command line of the emulated engine."""

from __future__ import annotations

import os
import sys

import msgspec

from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.engines.emulated.version import VERSION
from scepsy.engines.protocol import Capabilities, EngineOptions, Launch, Seat
from scepsy.hardware.gpus import gpu_constants

_CAPABILITIES = Capabilities(
    ignore_eos=True,
    token_prompts=True,
    cached_tokens=True,
    metrics=True,
    json_schema=True,
    model_check=True,
    strict=True,
    context_check=True,
    embeddings=True,
    rerank=True,
    score=True,
    responses=True,
    priority=True,
    gpu_share=True,
)


class EmulatedEngine:
    """Serves any LLM without weights, as fast as its GPUs would. Where the seat has boards, it
    counts the memory that it holds, as a real engine would.
    """

    @property
    def kind(self) -> EngineKind:
        return "emulated"

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    def version(self) -> str:
        return VERSION

    def launch(self, llm: LlmSpec, seat: Seat, *, port: int, options: EngineOptions) -> Launch:
        gpu_constants(seat.gpu_type)
        arguments = {
            "--llm-json": msgspec.json.encode(llm).decode(),
            "--tp": seat.tp,
            "--gpu-share": seat.gpu_share,
            "--memory-share": seat.memory_share,
            "--gpu-type": seat.gpu_type,
            "--gpu-memory": seat.gpu_memory,
            "--host": options.host,
            "--port": port,
            "--seed": options.seed,
            "--time-scale": options.time_scale,
        }
        if options.exit_with_parent:
            arguments["--exit-with-parent"] = os.getpid()
        flags = [text for pair in arguments.items() for text in map(str, pair)]
        flags += [text for board in seat.boards for text in ("--board", board)]
        argv = (sys.executable, "-m", "scepsy.engines.emulated", *flags, *llm.flags)
        return Launch(argv, f"http://{options.host}:{port}")
