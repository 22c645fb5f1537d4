"""When a GPU counts as taken by others (pure)."""

from __future__ import annotations

from scepsy.discover.found import MIB

IDLE_MEMORY = 1024 * MIB
"""Bytes in use up to which a GPU counts as free: drivers and displays keep some for themselves."""
ON = "Enabled"
PROHIBITED = "Prohibited"


def taken_by(
    *, used: float | None, processes: int, mig: str | None, compute_mode: str | None
) -> str | None:
    """Why a plan must not use the GPU; None where it is free. `used`: bytes in use, None where
    nothing tells it. `processes`: those that compute on it.
    """
    if mig == ON:
        return "MIG is on, and a plan shares whole GPUs by MPS"
    if compute_mode == PROHIBITED:
        return "its compute mode prohibits processes"
    if processes:
        count = "a process computes" if processes == 1 else f"{processes} processes compute"
        return f"{count} on it"
    if used is not None and used > IDLE_MEMORY:
        return f"{used / MIB:.0f} MiB of its memory are in use"
    return None
