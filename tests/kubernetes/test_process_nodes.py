"""The cluster of these tests does what a cluster does: binds pods, runs them, lists them."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from kubernetes_waits import eventually
from scepsy.deploy.kubernetes.resources import ApiVersions
from scepsy.deploy.kubernetes.slices import ready_pods
from scepsy.testing.kubernetes.cluster import KubernetesCluster
from scepsy.testing.kubernetes.node_objects import NodeSpec

Json = dict[str, Any]
LLM = (
    '{"name":"tiny","parameters":1e9,"layers":16,"hidden":2048,"heads":16,"kv_heads":8,'
    '"head_dim":128}'
)


@pytest.fixture
def node(cluster: KubernetesCluster) -> Iterator[KubernetesCluster]:
    cluster.add_node(NodeSpec(name="n1", gpus=4, subnet="10.88.1"))
    yield cluster
    cluster.remove_node("n1")


@pytest.fixture
def namespace(node: KubernetesCluster, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name.replace("_", "-").removeprefix("test-")[:40].strip("-")
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    node.call(lambda api: api.post("/api/v1/namespaces", body))
    yield name
    node.call(lambda api: api.delete(f"/api/v1/namespaces/{name}"))
    eventually(lambda: node.call(lambda api: api.find(f"/api/v1/namespaces/{name}")) is None)


def deployment(replicas: int, gpus: int) -> Json:
    container = {
        "name": "engine",
        "image": "scepsy",
        "command": ["python", "-m", "scepsy.engines.emulated", "--llm-json", LLM],
        "args": ["--host", "0.0.0.0", "--port", "8000"],
        "ports": [{"name": "http", "containerPort": 8000}],
        "resources": {"limits": {"nvidia.com/gpu": str(gpus)}},
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "tiny"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "tiny"}},
            "template": {
                "metadata": {"labels": {"app": "tiny"}},
                "spec": {"containers": [container]},
            },
        },
    }


def test_pods_are_bound_by_gpus_run_and_listed(node: KubernetesCluster, namespace: str) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "tiny"},
        "spec": {
            "clusterIP": "None",
            "selector": {"app": "tiny"},
            "ports": [{"name": "http", "port": 8000, "targetPort": "http"}],
        },
    }
    apps = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    node.call(lambda api: api.post(apps, deployment(replicas=3, gpus=2)))
    node.call(lambda api: api.post(f"/api/v1/namespaces/{namespace}/services", service))
    path = ApiVersions.of(node.call(lambda api: api.get("/apis"))).slices_path(namespace)
    assert path is not None

    def ready() -> dict[str, str]:
        return ready_pods(node.call(lambda api: api.get(path))["items"])

    eventually(lambda: len(ready()) == 2)
    pods = node.call(lambda api: api.get(f"/api/v1/namespaces/{namespace}/pods"))["items"]
    waiting = [one for one in pods if "nodeName" not in one["spec"]]
    assert len(waiting) == 1
    assert "Insufficient nvidia.com/gpu" in waiting[0]["status"]["conditions"][0]["message"]
    for url in ready().values():
        with urllib.request.urlopen(f"{url}/health") as answer:
            assert answer.status == 200
    assert len(set(ready().values())) == 2
