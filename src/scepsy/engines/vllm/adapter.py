"""vLLM as Scepsy starts it."""

from __future__ import annotations

from pathlib import Path

from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.engines.confine import confine
from scepsy.engines.gpu_env import gpu_environment
from scepsy.engines.protocol import Capabilities, EngineOptions, Launch, Seat
from scepsy.engines.vllm.interpreter import vllm_python, vllm_version
from scepsy.errors import BadInput
from scepsy.hardware.memory import ENGINE_MEMORY, kv_bytes_per_token

CPU = "cpu"
"""The GPU type that stands for a core of the machine's own processor."""

SLEEP_MODE = "--enable-sleep-mode"
"""The flag with which vLLM can give its memory back for a while."""

READY_TIMEOUT = 1800.0
"""Seconds until it serves: a large checkpoint may have to be read from a network drive."""

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
    """Serves the LLM in a folder, or of a name on the Hugging Face hub (`model_path`).

    On a node whose GPU type is "cpu" a GPU is a core, and a share of it a share of that core's
    time, which needs a cgroup that can be written.

    Flags of the LLM come last and win. `--enable-sleep-mode` among them opens vLLM's
    administrative endpoints too (`sleep` and `wake` in `engines/vllm/control.py` use them). On a
    CPU vLLM does not take that flag, and sleeping only stops its scheduler.
    """

    @property
    def kind(self) -> EngineKind:
        return "vllm"

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    def version(self) -> str:
        return vllm_version(vllm_python())

    def launch(self, llm: LlmSpec, seat: Seat, *, port: int, options: EngineOptions) -> Launch:
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
            "--tensor-parallel-size": seat.tp,
            "--scheduling-policy": "priority",
            "--seed": options.seed,
        }
        if llm.kind != "generate":
            arguments["--runner"] = "pooling"
        arguments |= _on_cpu(llm, seat) if seat.gpu_type == CPU else _on_gpu(llm, seat)
        switches = [
            "--enable-prefix-caching",
            "--enable-prompt-tokens-details",
            "--enable-request-id-headers",
            "--disable-uvicorn-access-log",
        ]
        if seat.gpu_type == CPU:
            switches.append("--enforce-eager")
        argv = (
            *(str(vllm_python()), "-m", "vllm.entrypoints.cli.main", "serve", llm.model_path),
            *(text for pair in arguments.items() for text in map(str, pair)),
            *switches,
            *(flag for flag in llm.flags if not (flag == SLEEP_MODE and seat.gpu_type == CPU)),
        )
        return Launch(
            confine(argv, seat if seat.gpu_type == CPU else None, options),
            f"http://{options.host}:{port}",
            env=_environment(llm, seat),
            ready_timeout=READY_TIMEOUT,
        )


def _on_gpu(llm: LlmSpec, seat: Seat) -> dict[str, object]:
    """A fraction gets its KV cache by the byte, as the planner reckons it: what vLLM measures to be
    free beside neighbours depends on what they do at that moment.
    """
    usable = ENGINE_MEMORY["vllm"].usable * seat.memory_share
    tokens = seat.kv_tokens(llm)
    arguments: dict[str, object] = {"--gpu-memory-utilization": f"{usable:.4f}"}
    if seat.memory_share < 1:
        kv = tokens * kv_bytes_per_token(llm, seat.tp)
        arguments["--kv-cache-memory-bytes"] = round(kv)  # of each GPU
    return arguments


def _on_cpu(llm: LlmSpec, seat: Seat) -> dict[str, object]:
    """In float32, which CPUs compute fastest; KV for as much as one batch can hold, at most."""
    tokens = min(seat.kv_tokens(llm), llm.max_sequences * llm.max_context)
    return {
        "--dtype": "float32",
        "--kv-cache-memory-bytes": round(2 * tokens * kv_bytes_per_token(llm, seat.tp)),
        "--block-size": 32,
    }


def _environment(llm: LlmSpec, seat: Seat) -> dict[str, str]:
    environment = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if llm.model_path is not None and Path(llm.model_path).is_dir():
        environment["HF_HUB_OFFLINE"] = "1"
    if SLEEP_MODE in llm.flags:
        environment["VLLM_SERVER_DEV_MODE"] = "1"
    if seat.gpu_type != CPU:
        return environment | gpu_environment(seat)
    # One thread for each worker, on the cores that the process is confined to.
    return environment | {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
