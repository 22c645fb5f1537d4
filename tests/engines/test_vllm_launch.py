"""vLLM's command line and environment, on GPUs and on a CPU."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scepsy.core.llm import LlmSpec
from scepsy.engines import EngineOptions, EngineResources, Launch, engine_for
from scepsy.engines.vllm.interpreter import VARIABLE, vllm_python, vllm_version
from scepsy.errors import BadInput, NotFound

LLM = LlmSpec(
    name="generator",
    engine="vllm",
    parameters=8e9,
    layers=32,
    kv_heads=8,
    head_dim=128,
    max_context=8192,
    max_sequences=32,
    model_path="Qwen/Qwen3-8B",
)
GPU = EngineResources(tp=2, gpu_type="h100", gpu_memory=80e9, gpus=(4, 5))


@pytest.fixture(autouse=True)
def python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, sys.executable)


def launched(
    llm: LlmSpec, resources: EngineResources, options: EngineOptions | None = None
) -> Launch:
    return engine_for("vllm").launch(llm, resources, port=8000, options=options or EngineOptions())


def value(launch: Launch, flag: str) -> str:
    assert launch.argv.count(flag) == 1
    return launch.argv[launch.argv.index(flag) + 1]


def test_whole_gpus() -> None:
    launch = launched(LLM, GPU)
    assert launch.argv[:5] == (
        sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", "Qwen/Qwen3-8B",
    )  # fmt: skip
    assert value(launch, "--tensor-parallel-size") == "2"
    assert value(launch, "--max-model-len") == "8192"
    assert value(launch, "--max-num-seqs") == "32"
    assert value(launch, "--scheduling-policy") == "priority"
    assert value(launch, "--gpu-memory-utilization") == "0.9200"
    assert "--kv-cache-memory-bytes" not in launch.argv
    assert launch.env["CUDA_VISIBLE_DEVICES"] == "4,5"
    assert "HF_HUB_OFFLINE" not in launch.env
    assert launch.url == "http://127.0.0.1:8000"


def test_a_fraction_of_a_gpu() -> None:
    resources = EngineResources(
        gpu_share=0.3, memory_share=0.5, gpu_type="h100", gpu_memory=80e9, gpus=(3,)
    )
    launch = launched(LLM, resources)
    assert value(launch, "--gpu-memory-utilization") == "0.4600"
    assert int(value(launch, "--kv-cache-memory-bytes")) == pytest.approx(
        0.92 * 40e9 - 1.6e9 - 16e9, rel=0.01
    )
    assert launch.env["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "30"
    assert launch.env["CUDA_VISIBLE_DEVICES"] == "3"


def test_a_part_of_a_group_has_its_kv_cache_split() -> None:
    half = EngineResources(tp=2, gpu_share=0.5, memory_share=0.5, gpu_type="h100", gpu_memory=80e9)
    launch = launched(LLM, half)
    assert value(launch, "--tensor-parallel-size") == "2"
    assert value(launch, "--gpu-memory-utilization") == "0.4600"
    assert int(value(launch, "--kv-cache-memory-bytes")) == pytest.approx(
        0.92 * 40e9 - 1.6e9 - 8e9, rel=0.01
    )


def test_what_does_not_fit_is_refused() -> None:
    resources = EngineResources(gpu_share=0.2, memory_share=0.2, gpu_type="h100", gpu_memory=80e9)
    with pytest.raises(
        BadInput,
        match=r"does not fit: 16\.0 GB of weights leave no room for KV",
    ):
        launched(LLM, resources)


def test_a_core(tmp_path: Path) -> None:
    llm = LlmSpec(
        name="x", kind="embed", layers=4, kv_heads=2, head_dim=64, max_context=2048,
        max_sequences=4, model_path=str(tmp_path),
    )  # fmt: skip
    resources = EngineResources(gpu_type="cpu", gpu_memory=4e9, gpus=(1,), gpu_share=0.5)
    launch = launched(llm, resources, EngineOptions(exit_with_parent=True))
    assert launch.argv[:3] == (sys.executable, "-m", "scepsy.engines.confined")
    assert value(launch, "--cores") == "1"
    assert value(launch, "--quota") == "0.5"
    assert value(launch, "--dtype") == "float32"
    assert value(launch, "--runner") == "pooling"
    # One full batch of float32 keys and values.
    assert int(value(launch, "--kv-cache-memory-bytes")) == 4 * 2048 * 4 * 2 * 2 * 64 * 4
    assert launch.env["OMP_NUM_THREADS"] == "1"
    assert launch.env["HF_HUB_OFFLINE"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in launch.env


def test_flags_come_last_and_sleep_needs_the_developers_endpoints() -> None:
    flags = ("--enable-sleep-mode", "--enable-lora")
    llm = LlmSpec(name="x", model_path="y", flags=flags)
    launch = launched(llm, GPU)
    assert launch.argv[-2:] == flags
    assert launch.env["VLLM_SERVER_DEV_MODE"] == "1"
    assert "VLLM_SERVER_DEV_MODE" not in launched(LLM, GPU).env


def test_an_llm_without_a_path_is_refused() -> None:
    with pytest.raises(BadInput, match="needs model_path"):
        launched(LlmSpec(name="x"), GPU)


def test_where_there_is_no_vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="has no vLLM"):
        vllm_version(Path(sys.executable))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    with pytest.raises(NotFound, match=VARIABLE):
        vllm_python()


def test_the_order_in_which_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("scepsy.engines.vllm.interpreter._REPOSITORY", tmp_path / "nowhere")
    monkeypatch.setenv("PATH", str(tmp_path / "other" / "bin"))
    with pytest.raises(NotFound, match="make setup-vllm"):
        vllm_python()
    for found in ("other/bin", ".venv-vllm/bin"):  # each goes before the one before it
        folder = tmp_path / found
        folder.mkdir(parents=True)
        for name in ("vllm", "python"):
            (folder / name).touch(mode=0o755)
        assert vllm_python() == folder / "python"
