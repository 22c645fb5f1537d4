"""Makes the command line of the emulated engine."""

from __future__ import annotations

import os
import sys

import msgspec

from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.engines.emulated.version import VERSION
from scepsy.engines.protocol import Capabilities, EngineOptions, EngineResources, Launch
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
    """Serves any LLM without weights, as fast as its GPUs would. Where the resources have boards,
    it counts the memory that it holds, as a real engine would.
    """

    @property
    def kind(self) -> EngineKind:
        return "emulated"

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    def version(self) -> str:
        return VERSION

    def launch(
        self, llm: LlmSpec, resources: EngineResources, *, port: int, options: EngineOptions
    ) -> Launch:
        gpu_constants(resources.gpu_type)
        arguments = {
            "--llm-json": msgspec.json.encode(llm).decode(),
            "--tp": resources.tp,
            "--gpu-share": resources.gpu_share,
            "--memory-share": resources.memory_share,
            "--gpu-type": resources.gpu_type,
            "--gpu-memory": resources.gpu_memory,
            "--host": options.host,
            "--port": port,
            "--seed": options.seed,
            "--time-scale": options.time_scale,
        }
        if options.exit_with_parent:
            arguments["--exit-with-parent"] = os.getpid()
        flags = [text for pair in arguments.items() for text in map(str, pair)]
        flags += [text for board in resources.boards for text in ("--board", board)]
        python = options.image_python or sys.executable
        argv = (python, "-m", "scepsy.engines.emulated", *flags, *llm.flags)
        return Launch(argv, f"http://{options.host}:{port}")
