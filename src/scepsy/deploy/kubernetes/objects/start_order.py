"""Engines that share a GPU start one after another: the list of them, and the container that waits
for its turn (pure).

The order is in a ConfigMap for each set of shared GPUs, and pods only name it. So a plan that adds
or removes a neighbour restarts nobody, and the order holds again after a node has restarted.
"""

from __future__ import annotations

from collections.abc import Iterator

from scepsy.core.plan import Plan, Replica
from scepsy.deploy.kubernetes.objects import labels
from scepsy.deploy.kubernetes.objects.gpus.sharing import Gpus, gpus_of, shared_gpus
from scepsy.deploy.kubernetes.objects.names import dns_label
from scepsy.deploy.kubernetes.objects.options import PORT, Object, RenderOptions
from scepsy.deploy.kubernetes.objects.security import container_security

LONGEST_WAIT = 1800
"""Seconds after which an engine starts although a neighbour before it does not answer."""

_FOLDER = "/etc/scepsy/start-order"

# Every engine image has Python. Each line of the file is the URL of one engine's health check.
_WAIT = f"""\
import sys, time, urllib.request
until = time.monotonic() + {LONGEST_WAIT}
for line in open("{_FOLDER}/engines"):
    if line.strip() == sys.argv[1]:
        break
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(line.strip(), timeout=5).close()
            break
        except OSError:
            time.sleep(2)
"""


def config_maps(plan: Plan, options: RenderOptions, plan_id: str) -> Iterator[Object]:
    """The engines on each set of shared GPUs, in the order in which they start."""
    for gpus, replicas in shared_gpus(plan).items():
        lines = [_health(replica, options) for replica in replicas]
        yield {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": labels.metadata(options, plan_id, _name(gpus, options)),
            "data": {"engines": "".join(f"{line}\n" for line in lines)},
        }


def container(replica: Replica, image: str, options: RenderOptions) -> Object:
    """Waits until every engine before this one in the list is ready."""
    return {
        "name": "wait-for-turn",
        "image": image,
        "command": ["python3", "-c", _WAIT, _health(replica, options)],
        "resources": {
            "requests": {"cpu": "10m", "memory": "64Mi"},
            "limits": {"memory": "64Mi"},
        },
        "securityContext": container_security(),
        "volumeMounts": [{"name": "start-order", "mountPath": _FOLDER, "readOnly": True}],
    }


def volume(replica: Replica, options: RenderOptions) -> Object:
    return {"name": "start-order", "configMap": {"name": _name(gpus_of(replica), options)}}


def _name(gpus: Gpus, options: RenderOptions) -> str:
    node, numbers = gpus
    return dns_label(f"{options.name}-{node}-gpu{'-'.join(map(str, numbers))}-start-order")


def _health(replica: Replica, options: RenderOptions) -> str:
    """The health check of the only pod of a replica's StatefulSet, by its stable name."""
    pod = f"{labels.workload_name(options, replica)}-0"
    service = labels.service_name(options, replica.llm)
    return f"http://{pod}.{service}.{options.namespace}.svc:{PORT}/health"
