"""How an engine process is held to its part of a node's NVIDIA GPUs: by its environment (pure)."""

from __future__ import annotations

from scepsy.engines.protocol import Seat

_MIB = 1 << 20


def gpu_environment(seat: Seat) -> dict[str, str]:
    """Which GPUs the engine sees, and with MPS how much of one.

    GPUs are counted as nvidia-smi counts them. A compute share is a ceiling on multiprocessors,
    not a reservation, and leaves memory bandwidth shared; a memory share is a limit on what the
    process may allocate. Both need an MPS daemon on the node: without one CUDA ignores them. A
    whole GPU gets neither, so that it needs no daemon.

    The limit names the devices that the engine sees, counted from 0, and no other: an entry for a
    GPU that is not visible makes MPS drop every limit. Parts of a TP group are limited on each of
    its GPUs alike; nobody has run that.
    """
    environment: dict[str, str] = {}
    if seat.gpus:
        environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, seat.gpus))
    if seat.gpu_share < 1:
        percentage = max(1, round(100 * seat.gpu_share))
        environment["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] = str(percentage)
    if seat.memory_share < 1:
        limit = int(seat.memory_share * seat.gpu_memory) // _MIB
        environment["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] = ",".join(
            f"{device}={limit}M" for device in range(seat.tp)
        )
    return environment
