"""The environment that limits an engine process to its part of a node's NVIDIA GPUs (pure)."""

from __future__ import annotations

from scepsy.engines.protocol import EngineResources

_MIB = 1 << 20


def gpu_environment(resources: EngineResources) -> dict[str, str]:
    """Environment variables that choose the engine's GPUs and, under MPS, limit its share of them.

    GPUs are numbered as nvidia-smi numbers them. A compute share limits the multiprocessors that
    the process may use. It reserves none, and memory bandwidth stays shared. A memory share limits
    what the process may allocate. Both need an MPS daemon on the node; without one CUDA ignores
    them. An engine on whole GPUs gets no limits, so that it needs no daemon.

    The memory limit lists the visible devices only, counted from 0: an entry for a GPU that is not
    visible makes MPS drop all limits. A TP group with a share gets the same limit on each of its
    GPUs; this has not been run on real GPUs.
    """
    environment: dict[str, str] = {}
    if resources.gpus:
        environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, resources.gpus))
    if resources.gpu_share < 1:
        percentage = max(1, round(100 * resources.gpu_share))
        environment["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] = str(percentage)
    if resources.memory_share < 1:
        limit = int(resources.memory_share * resources.gpu_memory) // _MIB
        environment["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] = ",".join(
            f"{device}={limit}M" for device in range(resources.tp)
        )
    return environment
