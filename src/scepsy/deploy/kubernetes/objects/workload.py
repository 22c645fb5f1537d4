"""The workload of one replica: a Deployment on whole GPUs, a StatefulSet on parts (pure)."""

from __future__ import annotations

import math

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Replica
from scepsy.deploy.kubernetes.objects import drain, gangs, labels, start_order
from scepsy.deploy.kubernetes.objects.gpus.pod import PodGpus
from scepsy.deploy.kubernetes.objects.gpus.sharing import gpus_of, in_words, is_part
from scepsy.deploy.kubernetes.objects.literals import POD_IP, literal
from scepsy.deploy.kubernetes.objects.options import PORT, Object, RenderOptions
from scepsy.deploy.kubernetes.objects.security import container_security, pod_security
from scepsy.engines.protocol import Launch

CACHE = "/cache"
"""Where engines keep downloaded weights and compiled kernels, in the container."""

PROBE_PERIOD = 5
"""Seconds between two health checks."""

_MPS = "CUDA_MPS_"


def workload(
    replica: Replica,
    llm: LlmSpec,
    launch: Launch,
    gpus: PodGpus,
    options: RenderOptions,
    plan_id: str,
) -> Object:
    """A workload of one pod. A StatefulSet never has two pods of one name, so that two engines can
    not hold the same part of a GPU, which nobody else would count. Whole GPUs are counted.
    """
    name = labels.workload_name(options, replica)
    selector = labels.engine(options, replica)
    annotations = {
        labels.REPLICA_NAME: replica.replica,
        labels.LLM_NAME: replica.llm,
        labels.GPUS: in_words(gpus_of(replica)),
    }
    template = {
        "metadata": {
            "labels": {**selector, **gpus.labels},
            "annotations": {**annotations, **gpus.annotations},
        },
        "spec": _pod(replica, llm, launch, gpus, options),
    }
    own = {**selector, **gangs.workload_labels(options)}
    meta = labels.metadata(options, plan_id, name, own, annotations)
    if is_part(replica):
        return {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": meta,
            "spec": {
                "replicas": 1,
                "serviceName": labels.service_name(options, replica.llm),
                "selector": {"matchLabels": selector},
                "template": template,
            },
        }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": 1,
            "progressDeadlineSeconds": math.ceil(launch.ready_timeout) + 60,
            "selector": {"matchLabels": selector},
            "strategy": {"type": "Recreate"},  # there is no spare GPU to start a second pod on
            "template": template,
        },
    }


def host_resources(llm: LlmSpec, replica: Replica) -> dict[str, str]:
    """CPU and memory of the host that the container of an engine gets by default: a core for the
    server and one for the worker of each GPU, and room to load weights through.
    """
    if llm.engine == "emulated":
        return {"cpu": "100m", "memory": "256Mi"}
    return {"cpu": str(1 + replica.tp), "memory": f"{8 + 8 * replica.tp}Gi"}


def _pod(
    replica: Replica, llm: LlmSpec, launch: Launch, gpus: PodGpus, options: RenderOptions
) -> Object:
    pod: Object = {
        "affinity": _affinity(replica, options),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": options.grace,
        "securityContext": pod_security(options, owns_volumes=True),
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "containers": [_container(replica, llm, launch, gpus, options)],
        "volumes": [*_volumes(replica, gpus, options), *gpus.volumes],
    }
    if options.priority_class is not None:
        pod["priorityClassName"] = options.priority_class
    pod.update(gangs.pod_fields(replica, options))
    if options.pull_secret is not None:
        pod["imagePullSecrets"] = [{"name": options.pull_secret}]
    if gpus.scheduler is not None:
        pod["schedulerName"] = gpus.scheduler
    if gpus.runtime_class is not None:
        pod["runtimeClassName"] = gpus.runtime_class
    if gpus.host_ipc:
        pod["hostIPC"] = True
    if gpus.pod_claims:
        pod["resourceClaims"] = list(gpus.pod_claims)
    if is_part(replica) and options.ordered:
        pod["initContainers"] = [start_order.container(replica, options.image(llm.engine), options)]
        pod["volumes"].append(start_order.volume(replica, options))
    return pod


def _container(
    replica: Replica, llm: LlmSpec, launch: Launch, gpus: PodGpus, options: RenderOptions
) -> Object:
    host = host_resources(llm, replica)
    cpu, memory = options.cpu or host["cpu"], options.memory or host["memory"]
    resources: Object = {
        "requests": {"cpu": cpu, "memory": memory, **gpus.limits},
        "limits": {"memory": memory, **gpus.limits},
    }
    if gpus.claims:
        resources["claims"] = list(gpus.claims)
    container: Object = {
        "name": "engine",
        "image": options.image(llm.engine),
        "command": [literal(word) for word in launch.argv],
        "env": [*_own_address(launch), *_env(launch, gpus)],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "resources": resources,
        "startupProbe": _probe(failures=math.ceil(launch.ready_timeout / PROBE_PERIOD)),
        "readinessProbe": _probe(failures=3),
        "livenessProbe": _probe(failures=24),
        **drain.lifecycle(options),
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            *([] if gpus.mps else [{"name": "shm", "mountPath": "/dev/shm"}]),
            {"name": "cache", "mountPath": CACHE},
            *gpus.mounts,
        ],
    }
    if options.secret is not None:
        container["envFrom"] = [{"secretRef": {"name": options.secret}}]
    return container


def _own_address(launch: Launch) -> list[Object]:
    """The variable that `POD_IP` names, where the command uses it."""
    source = {"fieldRef": {"fieldPath": "status.podIP"}}
    return [{"name": "POD_IP", "valueFrom": source}] if POD_IP in launch.argv else []


def _env(launch: Launch, gpus: PodGpus) -> list[Object]:
    """The engine's own environment, with folders that can be written to. A user id without a name
    needs USER.
    """
    own = {key: value for key, value in launch.env.items() if gpus.mps or not key.startswith(_MPS)}
    folders = {
        "HOME": CACHE,
        "USER": "scepsy",
        "HF_HOME": f"{CACHE}/huggingface",
        "XDG_CACHE_HOME": f"{CACHE}/xdg",
    }
    every = {**folders, **own, **gpus.env}
    return [{"name": name, "value": literal(every[name])} for name in sorted(every)]


def _probe(failures: int) -> Object:
    return {
        "httpGet": {"path": "/health", "port": "http"},
        "periodSeconds": PROBE_PERIOD,
        "timeoutSeconds": PROBE_PERIOD,
        "failureThreshold": failures,
    }


def _affinity(replica: Replica, options: RenderOptions) -> Object:
    here = {
        "key": options.node_label,
        "operator": "In",
        "values": [replica.slices[0].node],
    }
    terms = {"nodeSelectorTerms": [{"matchExpressions": [here]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def _volumes(replica: Replica, gpus: PodGpus, options: RenderOptions) -> list[Object]:
    cache: Object = {"name": "cache", "emptyDir": {}}
    if options.cache_claim is not None:
        cache = {"name": "cache", "persistentVolumeClaim": {"claimName": options.cache_claim}}
    # The clients of an MPS daemon share its /dev/shm, which the driver or the node gives them.
    shm = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{replica.tp}Gi"}}
    return [{"name": "tmp", "emptyDir": {}}, *([] if gpus.mps else [shm]), cache]
