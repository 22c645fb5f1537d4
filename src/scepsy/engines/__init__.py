"""Adapters to the engines that serve LLMs, and how engine processes are started and stopped."""

from __future__ import annotations

from scepsy.core.llm import EngineKind
from scepsy.engines.emulated.adapter import EmulatedEngine
from scepsy.engines.emulated.board import gpu_board
from scepsy.engines.endpoint import EndpointEngine
from scepsy.engines.llamacpp.adapter import LlamaCppEngine
from scepsy.engines.process import EngineProcess, free_port, start, stop
from scepsy.engines.protocol import Capabilities, Engine, EngineOptions, EngineResources, Launch
from scepsy.engines.sglang.adapter import SglangEngine
from scepsy.engines.vllm.adapter import VllmEngine

__all__ = [
    "Capabilities",
    "Engine",
    "EngineOptions",
    "EngineProcess",
    "EngineResources",
    "Launch",
    "engine_for",
    "free_port",
    "gpu_board",
    "start",
    "stop",
]


def engine_for(kind: EngineKind) -> Engine:
    """The adapter for one kind of engine."""
    match kind:
        case "emulated":
            return EmulatedEngine()
        case "llamacpp":
            return LlamaCppEngine()
        case "endpoint":
            return EndpointEngine()
        case "vllm":
            return VllmEngine()
        case "sglang":
            return SglangEngine()
