"""A llama.cpp engine that does not start says why, in its own words."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from scepsy.core.llm import LlmSpec
from scepsy.engines import EngineOptions, EngineResources, engine_for, free_port, start
from scepsy.engines.llamacpp.tiny import write_tiny_llm
from scepsy.errors import EngineFailed

LLM = LlmSpec(name="x", engine="llamacpp", model_path="tiny-random", max_context=512)


async def log_end_of(llm: LlmSpec, folder: Path) -> str:
    resources = EngineResources(gpu_type="cpu", gpu_memory=2e9)
    options = EngineOptions(exit_with_parent=True)
    launch = engine_for("llamacpp").launch(llm, resources, port=free_port(), options=options)
    with pytest.raises(EngineFailed) as failed:
        await start(launch, log_path=folder / "log", name="x")
    return str(failed.value)


async def test_a_file_that_is_no_gguf(tmp_path: Path) -> None:
    path = tmp_path / "no.gguf"
    path.write_text("this is not a GGUF file at all")
    said = await log_end_of(msgspec.structs.replace(LLM, model_path=str(path)), tmp_path)
    assert "invalid magic" in said
    assert "Traceback" not in said


async def test_a_gguf_that_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "half.gguf"
    write_tiny_llm(path)
    path.write_bytes(path.read_bytes()[:100_000])
    said = await log_end_of(msgspec.structs.replace(LLM, model_path=str(path)), tmp_path)
    assert "half.gguf" in said


async def test_a_flag_that_it_does_not_know(tmp_path: Path) -> None:
    said = await log_end_of(msgspec.structs.replace(LLM, flags=("--warp", "9")), tmp_path)
    assert "unrecognized arguments: --warp 9" in said
