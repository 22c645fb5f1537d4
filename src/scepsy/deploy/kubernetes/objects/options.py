"""What may be chosen when the objects of a plan are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from scepsy.core.llm import EngineKind, LlmSpec
from scepsy.engines.protocol import EngineResources, Launch

Object = dict[str, Any]
"""A Kubernetes object, or a part of one, as it is written to JSON."""

GpuProfileName = Literal["device-plugin", "dra", "mps-hostpath", "kai", "hami"]
Gang = Literal["none", "podgroup", "kueue"]
InferenceGateway = Literal["none", "inferencepool"]

PORT = 8000
"""The port on which every engine listens in its pod."""

LaunchIn = Callable[[LlmSpec, EngineResources], Launch]
"""The command of an engine in its container, from the engine's adapter."""

IMAGES: Mapping[EngineKind, str] = {
    "vllm": "vllm/vllm-openai:v0.29.0",
    "sglang": "lmsysorg/sglang:v0.5.23",
    "emulated": "scepsy:0.1.0",
    "llamacpp": "scepsy:0.1.0",
}
"""The image of each kind of engine, unless another one is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """Choices for all objects of one deployment.

    Attributes:
        name: name of the deployment; the names of all objects begin with it.
        namespace: namespace of the objects.
        epoch: number of the plan within the deployment, from 1.
        gpu: how pods get GPUs and parts of them.
        images: the image of each kind of engine, where not that of `IMAGES`.
        pull_secret: name of the Secret with the registry's credentials; None for public images.
        cpu, memory: Kubernetes quantities that each engine's container requests ("4", "16Gi"); None
            takes what `workload.host_resources` says.
        cache_claim: name of a PersistentVolumeClaim in which engines keep downloaded weights; None
            gives each pod an empty folder on its node.
        secret: name of a Secret whose keys become environment variables of the engines, such as
            HF_TOKEN; None for none.
        priority_class: name of the PriorityClass of the pods; None for the cluster's default.
        priority: the value of `priority_class`, which is then made as well; None where it exists.
        user: user and group id of the engines; not 0.
        node_label: the node label that has the node's name in the plan.
        from_namespaces: further namespaces from which engines may be reached, such as that of a
            Prometheus.
        grace: seconds that a pod has to finish its calls and end.
        ordered: whether engines that share a GPU wait for one another when they start.
        gang: how pods are scheduled together.
        queue: the queue of Kueue (`gang` "kueue") or of the KAI scheduler (`gpu` "kai").
        gateway: which routes of Kubernetes' own gateways are made, beside Scepsy's gateway.
        gateway_name: name of the Gateway that HTTPRoutes belong to.
        mps_pipe: on the node, the pipe directory of the MPS daemon ("mps-hostpath", "kai"); "{gpu}"
            stands for the number of the GPU where each GPU has its own daemon. None takes the
            profile's default.
    """

    name: str = "default"
    namespace: str = "default"
    epoch: int = 1
    gpu: GpuProfileName = "device-plugin"
    images: Mapping[EngineKind, str] = field(default_factory=dict[EngineKind, str])
    pull_secret: str | None = None
    cpu: str | None = None
    memory: str | None = None
    cache_claim: str | None = None
    secret: str | None = None
    priority_class: str | None = None
    priority: int | None = None
    user: int = 1000
    node_label: str = "kubernetes.io/hostname"
    from_namespaces: tuple[str, ...] = ()
    grace: int = 60
    ordered: bool = True
    gang: Gang = "none"
    queue: str = "default"
    gateway: InferenceGateway = "none"
    gateway_name: str = "inference-gateway"
    mps_pipe: str | None = None

    def image(self, kind: EngineKind) -> str:
        return self.images.get(kind) or IMAGES[kind]
