"""`scepsy cluster discover --kubernetes` asks a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kubernetes_waits import eventually
from scepsy.cli.main import cli
from scepsy.errors import BadInput, NotFound, Unreachable
from scepsy.store import read_cluster
from scepsy.testing.kubernetes.cluster import KubernetesCluster
from scepsy.testing.kubernetes.node_objects import NodeSpec

LABELS = {
    "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
    "nvidia.com/gpu.memory": "81559",
    "nvidia.com/gpu.count": "4",
}
NAMESPACE = "discovered"


@pytest.fixture(scope="module")
def nodes(cluster: KubernetesCluster) -> Iterator[KubernetesCluster]:
    """Two nodes of four GPUs, as GPU feature discovery labels them; pods of others want three."""
    racks = {"g1": "r1", "g2": "r2"}
    for number, (name, rack) in enumerate(racks.items()):
        cluster.add_node(NodeSpec(name=name, gpus=4, subnet=f"10.88.{20 + number}"))
        labels = {**LABELS, "topology.kubernetes.io/rack": rack}
        patch: dict[str, Any] = {"metadata": {"labels": labels}}
        cluster.call(lambda api, n=name, p=patch: api.patch(f"/api/v1/nodes/{n}", p, "merge"))
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    cluster.call(lambda api: api.post("/api/v1/namespaces", body))
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    for name, gpus, labels in (
        ("job", 3, {}),
        ("engine", 1, {"app.kubernetes.io/part-of": "scepsy"}),
    ):
        pod = _pod(name, gpus, labels)
        cluster.call(lambda api, p=pod: api.post(pods, p))
    eventually(lambda: _bound(cluster) == 2)
    yield cluster
    path = f"/api/v1/namespaces/{NAMESPACE}"
    cluster.call(lambda api: api.delete(path))
    eventually(lambda: cluster.call(lambda api: api.find(path)) is None)
    for name in racks:
        cluster.remove_node(name)


def _pod(name: str, gpus: int, labels: dict[str, str]) -> dict[str, Any]:
    container = {
        "name": "c",
        "image": "scepsy",
        "command": ["python", "-c", "import time; time.sleep(3600)"],
        "resources": {"limits": {"nvidia.com/gpu": str(gpus)}},
    }
    spec = {"containers": [container], "nodeSelector": {"kubernetes.io/hostname": "g1"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {**spec, "terminationGracePeriodSeconds": 1},
    }


def _bound(cluster: KubernetesCluster) -> int:
    found = cluster.call(lambda api: api.get(f"/api/v1/namespaces/{NAMESPACE}/pods"))
    return sum("nodeName" in one["spec"] for one in found["items"])


def discover(out: Path, *arguments: str) -> str:
    done = CliRunner().invoke(
        cli, ["cluster", "discover", "--kubernetes", "--out", str(out), *arguments]
    )
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_gpus_that_pods_of_others_request_are_taken(
    nodes: KubernetesCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(nodes.kubeconfig))
    out = tmp_path / "cluster.toml"
    discover(out)
    found = {node.name: node for node in read_cluster(out).nodes}
    assert (found["g1"].free, found["g1"].rack) == ((0,), "r1")
    assert {node.shares_per_gpu for node in found.values()} == {1}
    assert (found["g2"].free, found["g2"].rack) == ((0, 1, 2, 3), "r2")
    patch = {"spec": {"unschedulable": True}}
    nodes.call(lambda api: api.patch("/api/v1/nodes/g2", patch, "merge"))
    said = discover(out, "--force")
    assert {node.name: node.free for node in read_cluster(out).nodes} == {"g1": (0,), "g2": ()}
    assert "g2: GPU 0 is left out: the node is cordoned." in said


def test_a_user_without_rights_is_told_which_one_is_missing(
    nodes: KubernetesCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default/token"
    token = nodes.call(lambda api: api.post(path, {"spec": {}}))["status"]["token"]
    config = json.loads(nodes.kubeconfig.read_text())
    config["users"][0]["user"]["token"] = token
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    with pytest.raises(BadInput, match=r'cannot list resource "nodes".*; ask for the right'):
        discover(tmp_path / "cluster.toml")
    assert not (tmp_path / "cluster.toml").exists()


def test_a_wrong_context_and_a_server_that_is_not_there_are_named(
    nodes: KubernetesCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(nodes.kubeconfig))
    with pytest.raises(BadInput, match="nowhere"):
        discover(tmp_path / "cluster.toml", "--context", "nowhere")
    config = json.loads(nodes.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    with pytest.raises(Unreachable, match=r"https://127\.0\.0\.1:1 does not answer"):
        discover(tmp_path / "cluster.toml")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(NotFound, match="there is no kubeconfig"):
        discover(tmp_path / "cluster.toml")
