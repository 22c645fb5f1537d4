"""Makes the command line of SGLang.

The command line is for SGLang 0.5.23 and was tested against its own parser. No SGLang engine has
been run, because there is no build for CPUs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.engines.confine import confine
from scepsy.engines.gpu_env import gpu_environment
from scepsy.engines.protocol import Capabilities, EngineOptions, EngineResources, Launch
from scepsy.errors import BadInput, NotFound
from scepsy.hardware.memory import ENGINE_MEMORY

VARIABLE = "SCEPSY_SGLANG_PYTHON"
"""The environment variable that names the Python with SGLang, if that is not Scepsy's own."""

READY_TIMEOUT = 1800.0
"""Seconds until the engine must serve. A large checkpoint may have to be read from a network drive.
"""

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
    """Serves an LLM from a folder or from the Hugging Face hub (`model_path`).

    Its HTTP interface differs from vLLM's. Errors have no `error` object, and unknown model names
    are accepted; the gateway corrects both. Its metrics have other names. /v1/rerank answers with a
    bare list, so rerankers are refused here.

    The LLM's own flags come last on the command line and take precedence.
    """

    @property
    def kind(self) -> EngineKind:
        return "sglang"

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    def version(self) -> str:
        return sglang_version(_python())

    def launch(
        self, llm: LlmSpec, resources: EngineResources, *, port: int, options: EngineOptions
    ) -> Launch:
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
            "--tp-size": resources.tp,
            "--random-seed": options.seed,
            "--log-level-http": "warning",
            **_memory(llm, resources),
        }
        switches = ["--enable-metrics", "--enable-cache-report"]
        # As in vLLM: the lowest priority value first, 0 by default, and no preemption for priority.
        arguments["--default-priority-value"] = 0
        switches += ["--enable-priority-scheduling", "--schedule-low-priority-values-first"]
        switches.append("--disable-priority-preemption")
        if llm.kind == "embed":
            switches.append("--is-embedding")
        argv = (
            *(options.image_python or _python(), "-m", "sglang.launch_server"),
            *(text for pair in arguments.items() for text in map(str, pair)),
            *switches,
            *llm.flags,
        )
        return Launch(
            confine(argv, None, options),
            f"http://{options.host}:{port}",
            env=gpu_environment(resources),
            ready_timeout=READY_TIMEOUT,
        )


@cache
def sglang_version(python: str) -> str:
    """The version of SGLang that `python` has. Raises NotFound where it has none."""
    found = subprocess.run([python, "-c", _VERSION], capture_output=True, text=True, check=False)
    if found.returncode:
        raise NotFound(
            f"{python} has no SGLang: pip install sglang, or set {VARIABLE} to a Python that has it"
        )
    return found.stdout.strip()


def _python() -> str:
    return os.environ.get(VARIABLE) or sys.executable


def _memory(llm: LlmSpec, resources: EngineResources) -> dict[str, object]:
    """The memory flags. `--mem-fraction-static` is a part of the memory that is free when the
    engine starts. Under MPS that is the engine's own limit, so the flag does not depend on the
    share. An engine on a part of a GPU also gets the size of its KV cache in tokens, as planned.
    """
    tokens = resources.kv_tokens(llm)
    arguments: dict[str, object] = {"--mem-fraction-static": ENGINE_MEMORY["sglang"].usable}
    if resources.memory_share < 1:
        arguments["--max-total-tokens"] = tokens
    return arguments
