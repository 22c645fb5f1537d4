"""Nodes from Kubernetes' Node objects, and what pods take of them (pure)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from scepsy.discover.found import MIB, FoundGpu, FoundNode

GPU = "nvidia.com/gpu"
PRODUCT, MEMORY, COUNT = f"{GPU}.product", f"{GPU}.memory", f"{GPU}.count"
REPLICAS, MIG = f"{GPU}.replicas", "nvidia.com/mig.strategy"
SHARING = f"{GPU}.sharing-strategy"
SHARED = f"{GPU}.shared"
"""What a node offers instead of `GPU` where the device plugin's configuration renames shares."""
TIME_SLICING = "time-slicing"
RACK_LABELS = (
    "topology.kubernetes.io/rack",
    "cloud.provider.com/topology-rack",
    "network.topology.nvidia.com/accelerator",
    "cloud.google.com/gce-topology-subblock",
    "topology.k8s.aws/network-node-layer-3",
    "rack",
)
"""Labels that name the rack of a node, the first that is there counts."""
PART_OF, OURS = "app.kubernetes.io/part-of", "scepsy"
Object = Mapping[str, Any]
_ENDED = ("Succeeded", "Failed")


def kubernetes_nodes(
    nodes: Iterable[Object], pods: Iterable[Object], *, rack_label: str | None = None
) -> tuple[FoundNode, ...]:
    """The nodes that have GPUs and take new pods; pods of our own take nothing.

    A device plugin does not tell which GPUs a pod has, only how many. So the last numbers of a node
    are marked as taken, and the numbers mean nothing on the machine. `rack_label`: the label that
    names the rack; None means any of RACK_LABELS.
    """
    labels = RACK_LABELS if rack_label is None else (rack_label,)
    requested = _requested(pods)
    found = (_node(node, requested, labels) for node in nodes)
    return tuple(node for node in found if node is not None)


def objects_of(content: object, kind: str) -> list[Object]:
    """The objects of a kind in what `kubectl get -o json` printed: a list, or one object."""
    if not isinstance(content, Mapping):
        return []
    document = cast(Object, content)
    listed = str(document.get("kind", ""))
    if not listed.endswith("List"):
        return [document] if listed == kind else []
    items = cast(Iterable[Object], document.get("items") or ())
    return [one for one in items if one.get("kind", listed.removesuffix("List")) == kind]


def _node(
    node: Object, requested: Mapping[str, int], rack_labels: Sequence[str]
) -> FoundNode | None:
    name = str(_in(node, "metadata").get("name", ""))
    labels = _in(node, "metadata", "labels")
    offered = _in(node, "status", "allocatable")
    shown = int(_count(offered.get(GPU)) + _count(offered.get(SHARED)))
    replicas = int(_number(labels.get(REPLICAS)) or 1)
    here = int(_number(labels.get(COUNT)) or shown // replicas)
    if not here:
        return None
    taken = dict(_unavailable(node, here, shown, replicas, requested.get(name, 0)))
    size = _number(labels.get(MEMORY))
    gpus = tuple(
        FoundGpu(
            product=_product(str(labels.get(PRODUCT, ""))),
            memory=None if size is None else size * MIB,
            taken=taken.get(number),
        )
        for number in range(here)
    )
    rack = next((str(labels[key]) for key in rack_labels if key in labels), None)
    return FoundNode(
        name=name,
        gpus=gpus,
        rack=rack,
        shares_per_gpu=replicas if REPLICAS in labels or SHARING in labels else None,
        notes=tuple(_notes(name, labels, renamed=_count(offered.get(SHARED)) > 0)),
    )


def _unavailable(
    node: Object, here: int, shown: int, replicas: int, requested: int
) -> Iterator[tuple[int, str]]:
    """The numbers of GPUs that no plan can use, and why not. Counted from the end: first those
    that the node does not offer, before them those that pods have.
    """
    if (why := _closed(node)) is not None:
        yield from ((number, why) for number in range(here))
        return
    broken = here - min(here, shown // replicas)
    yield from ((here - 1 - at, "the node does not offer it") for at in range(broken))
    busy = min(here - broken, -(-requested // replicas))
    for at in range(busy):
        yield here - 1 - broken - at, f"pods of others request {requested} {GPU} on this node"


def _closed(node: Object) -> str | None:
    """Why the node takes no new pods with a share of their own; None where it does."""
    if _in(node, "metadata", "labels").get(SHARING) == TIME_SLICING:
        return "the device plugin shares it by time slicing, which limits no pod to its share"
    spec = _in(node, "spec")
    if spec.get("unschedulable"):
        return "the node is cordoned"
    conditions = cast(Iterable[Object], _in(node, "status").get("conditions") or ())
    ready = {str(one.get("type")): one.get("status") for one in conditions}
    if ready.get("Ready", "True") != "True":
        return "the node is not ready"
    for taint in cast(Iterable[Object], spec.get("taints") or ()):
        if taint.get("effect") in ("NoSchedule", "NoExecute") and taint.get("key") != GPU:
            return f"the node has the taint {taint.get('key')}"
    return None


def _requested(pods: Iterable[Object]) -> Mapping[str, int]:
    """By node, the GPUs that pods of others request, whether they run already or not."""
    found: dict[str, int] = defaultdict(int)
    for pod in pods:
        node = _in(pod, "spec").get("nodeName")
        ours = _in(pod, "metadata", "labels").get(PART_OF) == OURS
        if node and not ours and _in(pod, "status").get("phase") not in _ENDED:
            found[str(node)] += _of_pod(_in(pod, "spec"))
    return found


def _of_pod(spec: Object) -> int:
    """What the scheduler counts: all containers and sidecars together, or the largest init
    container with the sidecars that started before it.
    """
    together = sum(map(_of_container, cast(Iterable[Object], spec.get("containers") or ())))
    sidecars = most = 0
    for container in cast(Iterable[Object], spec.get("initContainers") or ()):
        if container.get("restartPolicy") == "Always":
            sidecars += _of_container(container)
        else:
            most = max(most, sidecars + _of_container(container))
    return max(together + sidecars, most)


def _of_container(container: Object) -> int:
    resources = _in(container, "resources")
    requests, limits = _in(resources, "requests"), _in(resources, "limits")
    return int(sum(_count(requests.get(name, limits.get(name))) for name in (GPU, SHARED)))


def _notes(name: str, labels: Object, *, renamed: bool) -> Iterator[str]:
    shares = int(_number(labels.get(REPLICAS)) or 1)
    if shares > 1 and SHARING not in labels:
        yield (
            f"{name}: the device plugin divides each GPU into {shares}, and no label {SHARING} "
            "says how; shares are only limited if it is by MPS."
        )
    if shares > 1 and labels.get(SHARING) != TIME_SLICING and not renamed:
        yield (
            f"{name}: it offers its shares as {GPU}; for --gpu device-plugin, set renameByDefault "
            f"in the device plugin's configuration, so that it offers {SHARED}."
        )
    if PRODUCT not in labels:
        yield (
            f"{name}: there is no label {PRODUCT}; NVIDIA's GPU feature discovery sets it, and "
            "--gpu-type says it."
        )
    if str(labels.get(MIG, "none")) not in ("none", ""):
        yield f"{name}: MIG is used there ({MIG}={labels[MIG]}); a plan needs whole GPUs."


def _product(label: str) -> str:
    """Without the suffix that a device plugin adds where it shares GPUs."""
    return re.sub(r"-SHARED$", "", label)


def _in(found: Object, *keys: str) -> Object:
    """The object at the end of these keys, empty where one is missing or null."""
    for key in keys:
        found = cast(Object, found.get(key) or {})
    return found


def _number(text: object) -> float | None:
    return float(text) if isinstance(text, str) and text.isdigit() else None


def _count(quantity: object) -> float:
    """A count of devices, which Kubernetes writes as a whole number."""
    return float(quantity) if str(quantity).isdigit() else 0.0  # pyright: ignore[reportArgumentType]
