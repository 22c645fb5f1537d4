"""Builds the command line that binds an engine to processor cores and ends it with its parent."""

from __future__ import annotations

import os
import sys

from scepsy.engines.protocol import EngineOptions, Seat


def confine(argv: tuple[str, ...], seat: Seat | None, options: EngineOptions) -> tuple[str, ...]:
    """`argv`, bound to the processor cores of `seat`; with None it may use every core."""
    flags: list[str] = []
    if seat is not None and seat.gpus:
        flags += ["--cores", ",".join(map(str, seat.gpus))]
    if seat is not None and seat.gpu_share < 1:
        flags += ["--quota", f"{seat.tp * seat.gpu_share:g}"]
    if options.exit_with_parent:
        flags += ["--exit-with-parent", str(os.getpid())]
    if not flags:
        return argv
    return (sys.executable, "-m", "scepsy.engines.confined", *flags, "--", *argv)
