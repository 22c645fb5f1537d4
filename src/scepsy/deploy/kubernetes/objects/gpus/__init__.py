"""How pods get GPUs and parts of them: one module for each profile (pure)."""

from __future__ import annotations

from scepsy.deploy.kubernetes.objects.gpus.device_plugin import DevicePlugin
from scepsy.deploy.kubernetes.objects.gpus.pod import GpuProfile, PodGpus
from scepsy.deploy.kubernetes.objects.options import GpuProfileName

__all__ = ["GPU_PROFILES", "GpuProfile", "PodGpus", "gpu_profile"]

GPU_PROFILES: dict[GpuProfileName, GpuProfile] = {"device-plugin": DevicePlugin()}


def gpu_profile(name: GpuProfileName) -> GpuProfile:
    return GPU_PROFILES[name]
