"""Parts of pods that are alike in others' objects (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scepsy.deploy.kubernetes.objects.gpus.device_plugin import WHOLE
from scepsy.deploy.kubernetes.objects.literals import literal
from scepsy.deploy.kubernetes.objects.options import Object, RenderOptions
from scepsy.engines.protocol import Launch


def on_nodes(nodes: Sequence[str], options: RenderOptions) -> Object:
    """The affinity of a pod that may run on these nodes only."""
    here = {"key": options.node_label, "operator": "In", "values": list(nodes)}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [here]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def whole_gpu_resources(gpus: int, options: RenderOptions, host: Mapping[str, str]) -> Object:
    """The resources of a container with whole GPUs."""
    memory = options.memory or host["memory"]
    limits = {"memory": memory, WHOLE: str(gpus)}
    return {"requests": {"cpu": options.cpu or host["cpu"], **limits}, "limits": limits}


def in_container(words: Sequence[str]) -> list[str]:
    """Words of a command line in which the kubelet replaces no $(NAME)."""
    return [literal(word) for word in words]


def environment(launch: Launch) -> list[Object]:
    """The engine's environment variables."""
    return [{"name": name, "value": literal(launch.env[name])} for name in sorted(launch.env)]
