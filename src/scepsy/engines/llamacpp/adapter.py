"""Makes the command line of the llama.cpp engine."""

from __future__ import annotations

import os
import sys
from importlib import metadata

from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.engines.protocol import Capabilities, EngineOptions, EngineResources, Launch
from scepsy.errors import BadInput, NotFound

TINY_RANDOM = "tiny-random"
"""The `model_path` of an LLM with random weights, which the engine makes itself."""

_CAPABILITIES = Capabilities(
    ignore_eos=True,
    token_prompts=True,
    cached_tokens=True,
    json_schema=True,
    embeddings=True,
    rerank=True,
)


class LlamaCppEngine:
    """Serves a GGUF file on the CPU. A "GPU" is a thread, so the TP degree is the number of
    threads.

    GPU shares cannot be enforced and are ignored, and threads are not bound to cores. So this
    engine shows that a plan works with a real engine, but not how fast it is.
    """

    @property
    def kind(self) -> EngineKind:
        return "llamacpp"

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    def version(self) -> str:
        try:
            return metadata.version("xllamacpp")
        except metadata.PackageNotFoundError:
            raise NotFound("the llama.cpp engine needs the llamacpp extra of scepsy") from None

    def launch(
        self, llm: LlmSpec, resources: EngineResources, *, port: int, options: EngineOptions
    ) -> Launch:
        if llm.model_path is None:
            raise BadInput(
                f"LLM {llm.name!r}: the llama.cpp engine needs model_path, a GGUF file "
                f"or {TINY_RANDOM!r}"
            )
        arguments: dict[str, object] = {
            "--model-path": llm.model_path,
            "--alias": llm.name,
            "--host": options.host,
            "--port": port,
            "--threads": resources.tp,
            "--parallel": llm.max_sequences,
            "--ctx": llm.max_context,
            "--seed": options.seed,
        }
        if options.exit_with_parent:
            arguments["--exit-with-parent"] = os.getpid()
        flags = [text for pair in arguments.items() for text in map(str, pair)]
        if llm.kind != "generate":
            flags.append("--embedding" if llm.kind == "embed" else "--reranking")
        python = options.image_python or sys.executable
        argv = (python, "-m", "scepsy.engines.llamacpp", *flags, *llm.flags)
        return Launch(argv, f"http://{options.host}:{port}")
