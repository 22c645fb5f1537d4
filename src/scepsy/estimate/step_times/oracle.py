"""aiconfigurator's forward-pass oracle: step times interpolated from operators that were measured
on silicon (NVIDIA, Apache-2.0; the extra `aiconfigurator`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scepsy.errors import BadInput, NotFound
from scepsy.hardware.architectures import shape_called

IDS = {
    "gpt-oss-120b": "openai/gpt-oss-120b",
    "gpt-oss-20b": "openai/gpt-oss-20b",
    "llama-3.1-70b": "meta-llama/Meta-Llama-3.1-70B",
    "llama-3.1-70b-fp8": "nvidia/Llama-3.1-70B-Instruct-FP8",
    "llama-3.1-8b": "meta-llama/Meta-Llama-3.1-8B",
    "qwen3-0.6b": "Qwen/Qwen3-0.6B",
    "qwen3-30b-a3b": "Qwen/Qwen3-30B-A3B",
    "qwen3-32b": "Qwen/Qwen3-32B",
    "qwen3-8b": "Qwen/Qwen3-8B",
}
"""The names under which it has our architectures; it downloads no other. Its vLLM operators for
block-wise fp8 are left out: they are 67% off the measured serving points
(docs/evaluation/estimates.md).
"""

SYSTEMS = {
    "a100": ("a100_sxm", "0.14.0"),
    "b200": ("b200_sxm", "0.24.0"),
    "b300": ("b300_sxm", "0.24.0"),
    "h100": ("h100_sxm", "0.24.0"),
    "h200": ("h200_sxm", "0.24.0"),
    "l40s": ("l40s", "0.24.0"),
}
"""Its name of each GPU type, and the vLLM version whose operators it has for it."""

VERSION = "0.12.0"
_SCHEMA = 15


@dataclass(frozen=True, slots=True)
class Oracle:
    """One LLM over `tp` GPUs of a type, under vLLM."""

    _estimate: Callable[[dict[str, Any]], float | None]

    @staticmethod
    def of(
        name: str,
        gpu_type: str,
        tp: int,
        *,
        mixture: bool = False,
        more: Mapping[str, object] | None = None,
    ) -> Oracle:
        """The oracle of an architecture that ships with Scepsy, or of a folder with a
        `config.json`. `more`: further keys of its configuration, for example another backend.

        Raises:
            NotFound: aiconfigurator-core is not installed.
            BadInput: it has no data for this GPU type, or none for this LLM on it.
        """
        try:
            sdk = importlib.import_module("aiconfigurator_core.sdk.rust_engine_step")
        except ModuleNotFoundError as missing:
            raise NotFound(
                "aiconfigurator-core is not installed: pip install 'scepsy[aiconfigurator]'"
            ) from missing
        if gpu_type not in SYSTEMS:
            raise BadInput(f"aiconfigurator has no data for GPU type {gpu_type!r}")
        if name in IDS:
            mixture = shape_called(name)["experts"] is not None
        system, version = SYSTEMS[gpu_type]
        config: dict[str, Any] = {
            "schema_version": _SCHEMA,
            "model_name": IDS.get(name, name),
            "system_name": system,
            "backend": "vllm",
            "backend_version": version,
            "tp_size": tp,
            "pp_size": 1,
        }
        if mixture:
            config |= {"moe_tp_size": tp, "moe_ep_size": 1}
        config |= more or {}
        try:
            model = sdk.RustForwardPassPerfModel.from_native(config)
        except Exception as error:
            said = str(error).strip().splitlines()[-1][-200:]
            raise BadInput(
                f"aiconfigurator has no {name} at TP{tp} on {gpu_type}: {said}"
            ) from error
        return Oracle(model.estimate_forward_pass_time_ms)

    def seconds(
        self, prefills: int, prefill_tokens: int, prefill_kv: int, decodes: int, decode_kv: int
    ) -> float:
        """Seconds of one step, given the number of prompts, their tokens, how many of these were
        cached, the number of decoding sequences, and the tokens of KV that those read. Raises
        BadInput if the oracle has no operators for it.
        """
        scheduled = {
            "num_prefill_requests": prefills,
            "sum_prefill_tokens": prefill_tokens,
            "sum_prefill_kv_tokens": prefill_kv,
            "num_decode_requests": decodes,
            "sum_decode_kv_tokens": decode_kv,
        }
        try:
            milliseconds = self._estimate({"scheduled_requests": scheduled})
        except Exception as error:
            raise BadInput(f"aiconfigurator: {str(error)[-200:]}") from error
        if milliseconds is None:
            raise BadInput(f"aiconfigurator has no answer for {scheduled}")
        return milliseconds / 1e3
