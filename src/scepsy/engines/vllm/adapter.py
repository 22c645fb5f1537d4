"""Makes the command line of vLLM."""

from __future__ import annotations

from pathlib import Path

from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.engines.confine import confine
from scepsy.engines.gpu_env import gpu_environment
from scepsy.engines.protocol import Capabilities, EngineOptions, EngineResources, Launch
from scepsy.engines.vllm.interpreter import vllm_python, vllm_version
from scepsy.errors import BadInput
from scepsy.hardware.memory import ENGINE_MEMORY, kv_bytes_per_token

CPU = "cpu"
"""The GPU type that stands for a core of this machine's processor."""

SLEEP_MODE = "--enable-sleep-mode"
"""The flag with which a running vLLM can release its GPU memory for a while."""

READY_TIMEOUT = 1800.0
"""Seconds until the engine must serve. A large checkpoint may have to be read from a network drive.
"""

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


class VllmEngine:
    """Serves an LLM from a folder or from the Hugging Face hub (`model_path`).

    On a node whose GPU type is "cpu", a GPU is a processor core, and a GPU share is a share of the
    core's time, which needs a control group that can be written.

    The LLM's own flags come last on the command line and take precedence. With
    `--enable-sleep-mode`, vLLM's administrative endpoints are open too (`engines/vllm/control.py`
    uses them). On a CPU vLLM does not accept that flag, and sleeping only stops its scheduler.
    """

    @property
    def kind(self) -> EngineKind:
        return "vllm"

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    def version(self) -> str:
        return vllm_version(vllm_python())

    def launch(
        self, llm: LlmSpec, resources: EngineResources, *, port: int, options: EngineOptions
    ) -> Launch:
        if llm.model_path is None:
            raise BadInput(
                f"LLM {llm.name!r}: vLLM needs model_path, a folder or a name on the hub"
            )
        arguments: dict[str, object] = {
            "--served-model-name": llm.name,
            "--host": options.host,
            "--port": port,
            "--max-model-len": llm.max_context,
            "--max-num-seqs": llm.max_sequences,
            "--tensor-parallel-size": resources.tp,
            "--scheduling-policy": "priority",
            "--seed": options.seed,
        }
        if llm.kind != "generate":
            arguments["--runner"] = "pooling"
        arguments |= (
            _on_cpu(llm, resources) if resources.gpu_type == CPU else _on_gpu(llm, resources)
        )
        switches = [
            "--enable-prefix-caching",
            "--enable-prompt-tokens-details",
            "--enable-request-id-headers",
            "--disable-uvicorn-access-log",
        ]
        if resources.gpu_type == CPU:
            switches.append("--enforce-eager")
        argv = (
            *(
                options.image_python or str(vllm_python()),
                "-m",
                "vllm.entrypoints.cli.main",
                "serve",
                llm.model_path,
            ),
            *(text for pair in arguments.items() for text in map(str, pair)),
            *switches,
            *(flag for flag in llm.flags if not (flag == SLEEP_MODE and resources.gpu_type == CPU)),
        )
        return Launch(
            confine(argv, resources if resources.gpu_type == CPU else None, options),
            f"http://{options.host}:{port}",
            env=_environment(llm, resources, options),
            ready_timeout=READY_TIMEOUT,
        )


def _on_gpu(llm: LlmSpec, resources: EngineResources) -> dict[str, object]:
    """The memory flags on GPUs. An engine on a part of a GPU gets the size of its KV cache in
    bytes, as planned, because the free memory that vLLM measures depends on what the neighbours do
    then.
    """
    usable = ENGINE_MEMORY["vllm"].usable * resources.memory_share
    tokens = resources.kv_tokens(llm)
    arguments: dict[str, object] = {"--gpu-memory-utilization": f"{usable:.4f}"}
    if resources.memory_share < 1:
        kv = tokens * kv_bytes_per_token(llm, resources.tp)
        arguments["--kv-cache-memory-bytes"] = round(kv)  # of each GPU
    return arguments


def _on_cpu(llm: LlmSpec, resources: EngineResources) -> dict[str, object]:
    """The memory flags on a CPU. Weights are float32, which CPUs compute fastest, and the KV cache
    is at most as large as one full batch needs.
    """
    tokens = min(resources.kv_tokens(llm), llm.max_sequences * llm.max_context)
    return {
        "--dtype": "float32",
        "--kv-cache-memory-bytes": round(2 * tokens * kv_bytes_per_token(llm, resources.tp)),
        "--block-size": 32,
    }


def _environment(
    llm: LlmSpec, resources: EngineResources, options: EngineOptions
) -> dict[str, str]:
    environment = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    path = Path(llm.model_path or "")
    if path.is_absolute() if options.image_python is not None else path.is_dir():
        environment["HF_HUB_OFFLINE"] = "1"
    if SLEEP_MODE in llm.flags:
        environment["VLLM_SERVER_DEV_MODE"] = "1"
    if resources.gpu_type != CPU:
        return environment | gpu_environment(resources)
    # One thread for each worker, on the cores that the process is confined to.
    return environment | {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
