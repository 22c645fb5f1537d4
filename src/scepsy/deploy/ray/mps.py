"""NVIDIA's MPS on one shared GPU: the daemon's command line, and what its clients need (pure).

One daemon for each GPU: a fatal fault of one client ends all clients of a daemon, and a daemon over
several GPUs refuses new clients on the healthy ones, too. None of this has been run on a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scepsy.core.llm import EngineKind
from scepsy.core.plan import Replica

_CUDA_ENGINES: tuple[EngineKind, ...] = ("vllm", "sglang")
_CPU = "cpu"


@dataclass(frozen=True, slots=True)
class MpsDaemon:
    """The daemon of the GPU with index `gpu` on its node; `folder` has its pipes and logs."""

    gpu: int
    folder: Path

    @property
    def argv(self) -> tuple[str, ...]:
        """Runs the daemon in the foreground."""
        return ("nvidia-cuda-mps-control", "-f")

    @property
    def env(self) -> Mapping[str, str]:
        """What the daemon needs in its environment: it owns this GPU alone."""
        return {
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": str(self.gpu),
            "CUDA_MPS_PIPE_DIRECTORY": str(self.pipes),
            "CUDA_MPS_LOG_DIRECTORY": str(self.folder / "log"),
        }

    @property
    def client_env(self) -> Mapping[str, str]:
        """What an engine needs. The daemon's only GPU has the number 0 for its clients. With a
        wrong folder a client would run without MPS, and so without limits.
        """
        return {"CUDA_VISIBLE_DEVICES": "0", "CUDA_MPS_PIPE_DIRECTORY": str(self.pipes)}

    @property
    def pipes(self) -> Path:
        return self.folder / "pipe"

    @property
    def control(self) -> Path:
        """The pipe that is there once the daemon can be asked."""
        return self.pipes / "control"


def needs_mps(replica: Replica, engine: EngineKind, gpu_type: str) -> bool:
    """Whether the replica's engine shares a real GPU."""
    parted = replica.gpu_share < 1 or replica.memory_share < 1
    return parted and engine in _CUDA_ENGINES and gpu_type != _CPU


def why_not_shared(replica: Replica, engine: EngineKind, gpu_type: str) -> str | None:
    """Why the replica cannot have its parts of GPUs, as a sentence; None where it can."""
    if replica.tp > 1 and needs_mps(replica, engine, gpu_type):
        return (
            f"{replica.replica} has parts of {replica.tp} GPUs, and a process can be the client of "
            "one MPS daemon only, which owns one GPU here; plan without --share-groups"
        )
    return None
