"""What was measured on: machine, driver, versions, clocks."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any

QUERY = ("name", "driver_version", "power.limit", "clocks.max.sm", "clocks.max.mem", "compute_mode")
LOAD = ("clocks.sm", "clocks.mem", "power.draw", "temperature.gpu")


def describe(device: str) -> dict[str, Any]:
    """One record. Needs torch, and on "cuda" a GPU: raises RuntimeError without one."""
    import torch

    found: dict[str, Any] = {
        "record": "machine",
        "device": device,
        "host_cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("torch", "vllm", "triton")},
    }
    if device == "cpu":
        total = len(os.sched_getaffinity(0))
        return {**found, "name": "cpu", "multiprocessors": total, "memory": 2**31}
    gpu = torch.cuda.get_device_properties(0)
    return {
        **found,
        "name": gpu.name,
        "uuid": f"GPU-{gpu.uuid}",
        "multiprocessors": gpu.multi_processor_count,
        "memory": gpu.total_memory,
        "capability": f"{gpu.major}.{gpu.minor}",
        "cuda": torch.version.cuda,
        "nvidia_smi": nvidia_smi(QUERY, f"GPU-{gpu.uuid}"),
    }


def nvidia_smi(query: tuple[str, ...], gpu: str) -> dict[str, str]:
    """Its answers by name; empty where it is missing or does not answer."""
    command = ["nvidia-smi", f"--id={gpu}", f"--query-gpu={','.join(query)}"]
    try:
        answer = subprocess.run(
            [*command, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(query, answer.stdout.strip().split(", "), strict=False))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            names = [
                line.split(":", 1)[1].strip() for line in file if line.startswith("model name")
            ]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
