"""The emulated engine keeps the contract of engines."""

from __future__ import annotations

from pathlib import Path

import msgspec

from scepsy.core.llm import LlmKind, LlmSpec
from scepsy.testing.engine_contract import EngineContract

LLM = LlmSpec(name="x", parameters=8e9, layers=32, hidden=4096, kv_heads=8, head_dim=128)


class TestEmulated(EngineContract):
    kind = "emulated"
    load_error = r"160\.0 GB of weights leave no room"

    @classmethod
    def llm(cls, kind: LlmKind, folder: Path) -> LlmSpec:
        return msgspec.structs.replace(LLM, name=kind, kind=kind)

    @classmethod
    def broken(cls, folder: Path) -> LlmSpec:
        return msgspec.structs.replace(LLM, parameters=80e9)
