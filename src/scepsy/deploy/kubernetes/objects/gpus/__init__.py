"""How pods get GPUs and parts of them: one module for each profile (pure)."""

from __future__ import annotations

from scepsy.deploy.kubernetes.objects.gpus.device_plugin import DevicePlugin
from scepsy.deploy.kubernetes.objects.gpus.dra import DynamicResources
from scepsy.deploy.kubernetes.objects.gpus.hami import Hami
from scepsy.deploy.kubernetes.objects.gpus.kai import KaiScheduler
from scepsy.deploy.kubernetes.objects.gpus.mps_hostpath import MpsHostPath
from scepsy.deploy.kubernetes.objects.gpus.pod import GpuProfile, PodGpus
from scepsy.deploy.kubernetes.objects.options import GpuProfileName

__all__ = ["GPU_PROFILES", "GpuProfile", "PodGpus", "gpu_profile"]

GPU_PROFILES: dict[GpuProfileName, GpuProfile] = {
    "device-plugin": DevicePlugin(),
    "dra": DynamicResources(),
    "mps-hostpath": MpsHostPath(),
    "kai": KaiScheduler(),
    "hami": Hami(),
}


def gpu_profile(name: GpuProfileName) -> GpuProfile:
    return GPU_PROFILES[name]
