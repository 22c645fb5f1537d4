"""Builds the command line that binds an engine to processor cores and ends it with its parent."""

from __future__ import annotations

import os
import sys

from scepsy.engines.protocol import EngineOptions, EngineResources


def confine(
    argv: tuple[str, ...], resources: EngineResources | None, options: EngineOptions
) -> tuple[str, ...]:
    """`argv`, bound to the processor cores of `resources`; with None it may use every core."""
    flags: list[str] = []
    if resources is not None and resources.gpus:
        flags += ["--cores", ",".join(map(str, resources.gpus))]
    if resources is not None and resources.gpu_share < 1:
        flags += ["--quota", f"{resources.tp * resources.gpu_share:g}"]
    if options.exit_with_parent:
        flags += ["--exit-with-parent", str(os.getpid())]
    if not flags:
        return argv
    return (sys.executable, "-m", "scepsy.engines.confined", *flags, "--", *argv)
