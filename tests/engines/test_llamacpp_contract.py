"""llama.cpp's server keeps the contract of engines, with a tiny random LLM."""

from __future__ import annotations

from pathlib import Path

from scepsy.core.llm import LlmKind, LlmSpec
from scepsy.engines.llamacpp.tiny import write_tiny_llm
from scepsy.testing.engine_contract import EngineContract


class TestLlamaCpp(EngineContract):
    kind = "llamacpp"
    load_error = "no such model file: .*missing.gguf"

    @classmethod
    def llm(cls, kind: LlmKind, folder: Path) -> LlmSpec:
        path = folder / "tiny.gguf"
        write_tiny_llm(path, kind)
        return LlmSpec(
            name=kind,
            engine="llamacpp",
            kind=kind,
            max_context=1024,
            max_sequences=4,
            model_path=str(path),
        )

    @classmethod
    def broken(cls, folder: Path) -> LlmSpec:
        return LlmSpec(name="x", engine="llamacpp", model_path=str(folder / "missing.gguf"))
