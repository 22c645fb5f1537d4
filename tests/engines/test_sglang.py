"""SGLang's command line, against the flags of SGLang 0.5.23; and the contract where there is one.

`assets/sglang-0.5.23.flags.json` was written by `python tests/engines/record_sglang_flags.py` from
the parser of the real package: names, whether a value follows, choices.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

from scepsy.core.llm import LlmKind, LlmSpec
from scepsy.engines import EngineOptions, EngineResources, Launch, engine_for
from scepsy.errors import BadInput, NotFound
from scepsy.testing.engine_contract import EngineContract

FLAGS = json.loads(
    (Path(__file__).parent / "assets" / "sglang-0.5.23.flags.json").read_text(encoding="utf-8")
)
LLM = LlmSpec(
    name="generator",
    engine="sglang",
    model_path="/models/it",
    parameters=8e9,
    layers=32,
    kv_heads=8,
    head_dim=128,
)


def launched(llm: LlmSpec = LLM, **fields: object) -> Launch:
    resources = EngineResources(gpu_type="h100", gpu_memory=80e9, **fields)  # pyright: ignore[reportArgumentType]
    return engine_for("sglang").launch(llm, resources, port=8000, options=EngineOptions())


def read(argv: Sequence[str]) -> dict[str, str | None]:
    """The flags as the real parser reads them."""
    found: dict[str, str | None] = {}
    rest = list(argv[argv.index("sglang.launch_server") + 1 :])
    while rest:
        name = rest.pop(0)
        known = FLAGS[name]
        found[name] = rest.pop(0) if known["takes_value"] else None
        assert known["choices"] is None or found[name] in known["choices"]
    return found


def test_a_tensor_parallel_replica() -> None:
    found = launched(tp=4, gpus=(0, 1, 2, 3))
    flags = read(found.argv)
    assert flags["--tp-size"] == "4"
    assert flags["--context-length"] == "8192"
    assert flags["--max-running-requests"] == "64"
    assert flags["--served-model-name"] == "generator"
    assert {"--schedule-low-priority-values-first", "--disable-priority-preemption"} <= set(flags)
    assert "--max-total-tokens" not in flags
    assert found.env["CUDA_VISIBLE_DEVICES"] == "0,1,2,3"
    assert "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE" not in found.env


def test_a_fraction_is_bounded_in_compute_memory_and_kv() -> None:
    found = launched(gpu_share=0.4, memory_share=0.4, gpus=(1,))
    tokens = int(read(found.argv)["--max-total-tokens"] or 0)
    assert 0 < tokens * LLM.kv_bytes_per_token < 0.4 * 80e9 - LLM.weight_bytes
    assert found.env["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "40"


def test_an_embedder_and_flags_of_its_own() -> None:
    flags = read(launched(msgspec.structs.replace(LLM, kind="embed")).argv)
    assert "--is-embedding" in flags
    own = msgspec.structs.replace(LLM, flags=("--tool-call-parser", "qwen"))
    assert launched(own).argv[-2:] == ("--tool-call-parser", "qwen")


@pytest.mark.parametrize("wrong", [{"model_path": None}, {"kind": "rerank"}])
def test_what_it_cannot_serve_it_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        launched(msgspec.structs.replace(LLM, **wrong))


def test_a_fraction_too_small_for_the_weights() -> None:
    with pytest.raises(BadInput, match=r"16\.0 GB of weights"):
        launched(gpu_share=0.1, memory_share=0.1)


def test_where_it_is_not_installed_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCEPSY_SGLANG_PYTHON", shutil.which("true") or "/bin/false")
    assert engine_for("sglang").version() == ""
    monkeypatch.setenv("SCEPSY_SGLANG_PYTHON", shutil.which("false") or "/bin/false")
    with pytest.raises(NotFound, match="pip install sglang"):
        engine_for("sglang").version()


@pytest.mark.skipif(
    find_spec("sglang") is None or shutil.which("nvidia-smi") is None,
    reason="no SGLang with an NVIDIA GPU here: its contract was never run",
)
class TestSglang(EngineContract):
    kind = "sglang"
    load_error = "config.json|model"

    @classmethod
    def llm(cls, kind: LlmKind, folder: Path) -> LlmSpec:
        path = {"generate": "Qwen/Qwen3-0.6B", "embed": "Qwen/Qwen3-Embedding-0.6B"}
        return LlmSpec(name=kind, engine="sglang", kind=kind, model_path=path.get(kind))

    @classmethod
    def broken(cls, folder: Path) -> LlmSpec:
        return LlmSpec(name="x", engine="sglang", model_path=str(folder / "missing"))
