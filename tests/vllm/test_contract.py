"""Real vLLM keeps the contract of engines, on CPUs, with tiny random LLMs."""

from __future__ import annotations

from pathlib import Path

import pytest

from scepsy.core.llm import LlmKind, LlmSpec
from scepsy.engines import EngineOptions, Launch, Seat, engine_for
from scepsy.engines.tiny import write_tiny_folder
from scepsy.testing.engine_contract import EngineContract

pytestmark = [pytest.mark.vllm, pytest.mark.e2e]


class TestVllm(EngineContract):
    kind = "vllm"
    last_words = "config.json|does not exist|Invalid repository"

    @classmethod
    def llm(cls, kind: LlmKind, folder: Path) -> LlmSpec:
        write_tiny_folder(folder / kind, kind=kind)
        # Random LLMs choose blanks for ever where JSON allows them.
        compact = '{"backend": "xgrammar", "disable_any_whitespace": true}'
        return LlmSpec(
            name=kind,
            engine="vllm",
            kind=kind,
            layers=4,
            kv_heads=2,
            head_dim=64,
            max_context=4096,
            max_sequences=16,
            model_path=str(folder / kind),
            flags=("--structured-outputs-config", compact) if kind == "generate" else (),
        )

    @classmethod
    def broken(cls, folder: Path) -> LlmSpec:
        return LlmSpec(name="x", engine="vllm", model_path=str(folder / "missing"))

    @classmethod
    def launch(cls, llm: LlmSpec, port: int) -> Launch:
        return engine_for("vllm").launch(
            llm,
            Seat(gpu_type="cpu", gpu_memory=4e9, gpus=(0,)),
            port=port,
            options=EngineOptions(exit_with_parent=True),
        )
