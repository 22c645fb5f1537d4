"""Describes this machine, as far as an engine's speed depends on it."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def machine() -> str:
    """The CPU, the number of cores that this process may use, and the kernel."""
    cores = len(os.sched_getaffinity(0))
    return f"{_cpu()}, {cores} cores, {platform.system()} {platform.release()}"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
