"""Nodes and pods of Kubernetes: what is offered, what is requested, what takes no pods."""

from __future__ import annotations

from typing import Any

import pytest

from scepsy.discover import describe
from scepsy.discover.kubernetes_nodes import kubernetes_nodes, objects_of
from scepsy.errors import BadInput

LABELS = {
    "kubernetes.io/hostname": "n1",
    "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
    "nvidia.com/gpu.memory": "81559",
    "nvidia.com/gpu.count": "8",
    "nvidia.com/gpu.replicas": "1",
    "nvidia.com/mig.strategy": "single",
    "topology.kubernetes.io/rack": "r7",
}
"""As NVIDIA's GPU feature discovery sets them."""
LABELS_HERE = {**LABELS, "nvidia.com/mig.strategy": "none"}


def node(
    name: str = "n1",
    offered: int = 8,
    labels: dict[str, str] | None = None,
    ready: str = "True",
    **spec: Any,
) -> dict[str, Any]:
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": LABELS_HERE if labels is None else labels},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": "190", "nvidia.com/gpu": str(offered)},
            "capacity": {"cpu": "192", "nvidia.com/gpu": "8"},
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def container(gpus: int, **fields: Any) -> dict[str, Any]:
    return {"resources": {"limits": {"nvidia.com/gpu": str(gpus)}}, **fields}


def pod(
    *gpus: int,
    node: str = "n1",
    phase: str = "Running",
    labels: dict[str, str] | None = None,
    init: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    spec = {
        "nodeName": node,
        "containers": [container(each) for each in gpus],
        "initContainers": init,
    }
    return {"kind": "Pod", "metadata": {"labels": labels}, "spec": spec, "status": {"phase": phase}}


def taken(nodes: list[dict[str, Any]], pods: list[dict[str, Any]]) -> dict[str, int]:
    found = kubernetes_nodes(nodes, pods)
    return {each.name: sum(gpu.taken is not None for gpu in each.gpus) for each in found}


@pytest.mark.parametrize(
    ("pods", "busy"),
    [
        ([], 0),
        ([pod(2), pod(1, 1)], 4),
        ([pod(2, phase="Succeeded"), pod(2, phase="Failed"), pod(1, phase="Pending")], 1),
        ([pod(2, node="n2"), {"spec": {"containers": [container(4)]}}], 0),
        ([pod(4, labels={"app.kubernetes.io/part-of": "scepsy"}), pod(1, labels={"a": "b"})], 1),
        ([pod(1, init=[container(4)])], 4),
        ([pod(1, init=[container(1, restartPolicy="Always")])], 2),
        ([pod(1, init=[container(1, restartPolicy="Always"), container(3)])], 4),
        ([pod(9), pod(9)], 8),
    ],
)
def test_pods_of_others_take_what_they_request(pods: list[dict[str, Any]], busy: int) -> None:
    assert taken([node()], pods) == {"n1": busy}


@pytest.mark.parametrize(
    ("closed", "words"),
    [
        (node(unschedulable=True), "the node is cordoned"),
        (node(ready="Unknown"), "the node is not ready"),
        (
            node(taints=[{"key": "team-a/only", "effect": "NoSchedule"}]),
            "the node has the taint team-a/only",
        ),
    ],
)
def test_a_node_that_takes_no_pods_is_left_out(closed: dict[str, Any], words: str) -> None:
    (found,) = kubernetes_nodes([closed], [])
    assert {gpu.taken for gpu in found.gpus} == {words}


def test_usual_taints_do_not_close_a_node() -> None:
    taints = [
        {"key": "nvidia.com/gpu", "effect": "NoSchedule", "value": "present"},
        {"key": "spot", "effect": "PreferNoSchedule"},
    ]
    assert taken([node(taints=taints)], []) == {"n1": 0}


def test_gpus_that_the_plugin_does_not_offer_are_taken() -> None:
    (found,) = kubernetes_nodes([node(offered=6)], [pod(1)])
    whys = [gpu.taken for gpu in found.gpus]
    assert whys[:5] == [None] * 5
    assert whys[6:] == ["the node does not offer it"] * 2
    assert "request 1 nvidia.com/gpu" in str(whys[5])


def test_shared_gpus_are_counted_once() -> None:
    labels = {**LABELS_HERE, "nvidia.com/gpu.replicas": "4"}
    labels["nvidia.com/gpu.product"] = "NVIDIA-H100-80GB-HBM3-SHARED"
    assert taken([node(offered=32, labels=labels)], [pod(1), pod(4)]) == {"n1": 2}
    described = describe(kubernetes_nodes([node(offered=32, labels=labels)], []))
    assert (described.cluster.gpus, described.cluster.nodes[0].gpu_type) == (8, "h100")


def sharing(strategy: str, shares: int) -> dict[str, str]:
    labels = {**LABELS_HERE, "nvidia.com/gpu.replicas": str(shares)}
    return {**labels, "nvidia.com/gpu.sharing-strategy": strategy}


def test_the_shares_of_the_device_plugin_are_those_of_the_cluster() -> None:
    shared = node("n1", offered=0, labels=sharing("mps", 4))
    shared["status"]["allocatable"]["nvidia.com/gpu.shared"] = "32"
    user = pod(0)
    user["spec"]["containers"][0]["resources"]["limits"] = {"nvidia.com/gpu.shared": "1"}
    described = describe(
        kubernetes_nodes([shared, node("n2"), node("n3", labels=sharing("none", 1))], [user])
    )
    assert [one.shares_per_gpu for one in described.cluster.nodes] == [4, 1, 1]
    assert [len(one.free) for one in described.cluster.nodes] == [7, 8, 8]
    assert any("remove it from every node" in note for note in described.notes)
    assert not any("renameByDefault" in note for note in described.notes)


def test_a_node_that_says_nothing_of_shares_beside_others_gives_whole_gpus() -> None:
    silent = {key: text for key, text in LABELS_HERE.items() if not key.endswith("replicas")}
    described = describe(kubernetes_nodes([node(), node("n2", labels=silent)], []))
    assert [one.shares_per_gpu for one in described.cluster.nodes] == [1, 1]
    assert any("n2: nothing tells how it shares GPUs" in note for note in described.notes)
    (alone,) = describe(kubernetes_nodes([node("n2", labels=silent)], [])).cluster.nodes
    assert alone.shares_per_gpu is None


def test_shares_by_time_slicing_are_nobody_s() -> None:
    labels = sharing("time-slicing", 4)
    assert taken([node(offered=32, labels=labels)], []) == {"n1": 8}
    (found,) = kubernetes_nodes([node(offered=32, labels=sharing("mps", 4))], [])
    assert any("set renameByDefault" in note for note in found.notes)


def test_labels_tell_type_memory_and_rack() -> None:
    described = describe(kubernetes_nodes([node(), node("cpu-only", offered=0, labels={})], []))
    (only,) = described.cluster.nodes
    assert (only.name, only.gpus, only.gpu_type, only.rack) == ("n1", 8, "h100", "r7")
    assert described.cluster.gpu_memory == 81559 * 2**20
    (other,) = kubernetes_nodes([node()], [], rack_label="kubernetes.io/hostname")
    assert other.rack == "n1"
    (mig,) = kubernetes_nodes([node(labels=LABELS)], [])
    assert any("MIG is used there" in note for note in mig.notes)


def test_without_labels_the_type_has_to_be_given() -> None:
    found = kubernetes_nodes([node(labels={})], [])
    with pytest.raises(BadInput, match="give it with --gpu-type"):
        describe(found)
    described = describe(found, gpu_type="h100")
    assert described.cluster.gpus == 8
    assert any("there is no label nvidia.com/gpu.product" in note for note in described.notes)


def test_objects_are_found_in_every_kind_of_list() -> None:
    assert objects_of({"kind": "List", "items": [node(), pod(1)]}, "Pod") == [pod(1)]
    bare = {key: value for key, value in node().items() if key != "kind"}
    assert objects_of({"kind": "NodeList", "items": [bare]}, "Node") == [bare]
    assert objects_of(node(), "Node") == [node()]
    assert objects_of({"kind": "PodList", "items": None}, "Node") == []
    assert objects_of([], "Node") == []
