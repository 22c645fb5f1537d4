"""SGLang as Scepsy starts it.

The command line is that of SGLang 0.5.23, and was tested against its parser. No SGLang engine was
run: there is no build for CPUs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.engines.confine import confine
from scepsy.engines.gpu_env import gpu_environment
from scepsy.engines.protocol import Capabilities, EngineOptions, Launch, Seat
from scepsy.errors import BadInput, NotFound
from scepsy.hardware.memory import ENGINE_MEMORY

VARIABLE = "SCEPSY_SGLANG_PYTHON"
"""Names the Python that has SGLang, where that is another one than ours."""

READY_TIMEOUT = 1800.0
"""Seconds until it serves: a large checkpoint may have to be read from a network drive."""

_VERSION = "from importlib.metadata import version; print(version('sglang'))"

_CAPABILITIES = Capabilities(
    ignore_eos=True,
    token_prompts=True,
    cached_tokens=True,
    json_schema=True,
    context_check=True,
    embeddings=True,
    responses=True,
    priority=True,
    gpu_share=True,
)


class SglangEngine:
    """Serves the LLM in a folder, or of a name on the Hugging Face hub (`model_path`).

    On the wire it differs from vLLM: errors have no `error` object and an unknown model name is
    taken, which the gateway makes up for; its metrics have names of their own; /v1/rerank answers
    a bare list, so rerankers are refused here.

    Flags of the LLM come last and win.
    """

    @property
    def kind(self) -> EngineKind:
        return "sglang"

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    def version(self) -> str:
        return sglang_version(_python())

    def launch(self, llm: LlmSpec, seat: Seat, *, port: int, options: EngineOptions) -> Launch:
        if llm.model_path is None:
            raise BadInput(
                f"LLM {llm.name!r}: SGLang needs model_path, a folder or a name on the hub"
            )
        if llm.kind == "rerank":
            raise BadInput(
                f"LLM {llm.name!r}: SGLang's rerank answers in a form that programs for vLLM "
                'cannot read; serve it with engine = "vllm"'
            )
        arguments: dict[str, object] = {
            "--model-path": llm.model_path,
            "--served-model-name": llm.name,
            "--host": options.host,
            "--port": port,
            "--context-length": llm.max_context,
            "--max-running-requests": llm.max_sequences,
            "--tp-size": seat.tp,
            "--random-seed": options.seed,
            "--log-level-http": "warning",
            **_memory(llm, seat),
        }
        switches = ["--enable-metrics", "--enable-cache-report"]
        # As vLLM: the lower value first, 0 where a call names none, and who runs goes on.
        arguments["--default-priority-value"] = 0
        switches += ["--enable-priority-scheduling", "--schedule-low-priority-values-first"]
        switches.append("--disable-priority-preemption")
        if llm.kind == "embed":
            switches.append("--is-embedding")
        argv = (
            *(_python(), "-m", "sglang.launch_server"),
            *(text for pair in arguments.items() for text in map(str, pair)),
            *switches,
            *llm.flags,
        )
        return Launch(
            confine(argv, None, options),
            f"http://{options.host}:{port}",
            env=gpu_environment(seat),
            ready_timeout=READY_TIMEOUT,
        )


@cache
def sglang_version(python: str) -> str:
    """Raises NotFound where that Python has no SGLang."""
    found = subprocess.run([python, "-c", _VERSION], capture_output=True, text=True, check=False)
    if found.returncode:
        raise NotFound(
            f"{python} has no SGLang: pip install sglang, or set {VARIABLE} to a Python that has it"
        )
    return found.stdout.strip()


def _python() -> str:
    return os.environ.get(VARIABLE) or sys.executable


def _memory(llm: LlmSpec, seat: Seat) -> dict[str, object]:
    """`--mem-fraction-static` is a part of what is free when the engine starts: under MPS that is
    the engine's own limit, and without a neighbour the whole GPU. It does not depend on the
    share. A fraction has its KV cache bounded in tokens besides, as the planner reckons it.
    """
    tokens = seat.kv_tokens(llm)
    arguments: dict[str, object] = {"--mem-fraction-static": ENGINE_MEMORY["sglang"].usable}
    if seat.memory_share < 1:
        arguments["--max-total-tokens"] = tokens
    return arguments
