"""What the Helm chart renders is accepted by a real API server, scheduled, and serves calls."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from charts.test_chart import rendered
from kubernetes_waits import eventually
from scepsy.deploy.kubernetes.gateway_objects import table_object
from scepsy.deploy.kubernetes.objects.options import RenderOptions
from scepsy.deploy.kubernetes.resources import ApiVersions, path_of
from scepsy.deploy.kubernetes.slices import RoutedReplica, RoutingTable
from scepsy.gateway.config import Route
from scepsy.testing.kubernetes.cluster import KubernetesCluster
from scepsy.testing.kubernetes.node_objects import NodeSpec

Json = dict[str, Any]
NAMESPACE = "llm"
LLM = (
    '{"name":"tiny","parameters":1e9,"layers":16,"hidden":2048,"heads":16,"kv_heads":8,'
    '"head_dim":128}'
)
ENGINE: Json = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "engine-0", "namespace": NAMESPACE, "labels": {"app": "engine"}},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {
                "name": "engine",
                "image": "scepsy",
                "command": ["python", "-m", "scepsy.engines.emulated", "--llm-json", LLM],
                "args": ["--host", "0.0.0.0", "--port", "8000"],
                "readinessProbe": {"httpGet": {"path": "/health", "port": 8000}},
            }
        ],
    },
}


SERVICE: Json = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "engines",
        "namespace": NAMESPACE,
        "labels": {"app.kubernetes.io/instance": "agents"},
    },
    "spec": {
        "clusterIP": "None",
        "selector": {"app": "engine"},
        "ports": [{"name": "http", "port": 8000, "targetPort": 8000, "protocol": "TCP"}],
    },
}


@pytest.fixture
def engine(cluster: KubernetesCluster) -> Iterator[str]:
    """The address of an engine in a namespace of its own."""
    cluster.add_node(NodeSpec(name="c1", gpus=1, subnet="10.88.30"))
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    cluster.call(lambda api: api.post("/api/v1/namespaces", body))
    cluster.call(lambda api: api.post(f"/api/v1/namespaces/{NAMESPACE}/pods", ENGINE))
    eventually(lambda: ready_pod(cluster, "engine") is not None)
    yield f"http://{ready_pod(cluster, 'engine')}:8000"
    path = f"/api/v1/namespaces/{NAMESPACE}"
    cluster.call(lambda api: api.delete(path))
    eventually(lambda: cluster.call(lambda api: api.find(path)) is None)
    cluster.remove_node("c1")


def ready_pod(cluster: KubernetesCluster, start: str) -> str | None:
    """The address of a ready pod whose name begins so."""
    pods = cluster.call(lambda api: api.get(f"/api/v1/namespaces/{NAMESPACE}/pods"))["items"]
    for pod in pods:
        conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", ())}
        if pod["metadata"]["name"].startswith(start) and conditions.get("Ready") == "True":
            return str(pod["status"]["podIP"])
    return None


def apply(cluster: KubernetesCluster, objects: list[Json]) -> None:
    """Server-side apply, which refuses unknown fields by dropping none of ours in silence."""
    versions = ApiVersions.of(cluster.call(lambda api: api.get("/apis")))
    ordered = sorted(objects, key=lambda one: one["kind"] == "Deployment")  # last, as Helm does
    for one in map(versions.fitted, ordered):
        answer = cluster.call(
            lambda api, o=one: api.patch(path_of(o), o, "apply", fieldManager="helm")
        )
        assert answer["kind"] == one["kind"]


def call(gateway: str) -> Json:
    request = urllib.request.Request(
        f"{gateway}/v1/chat/completions",
        data=json.dumps(
            {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
        ).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def test_the_chart_s_gateway_runs_and_passes_calls_on(
    cluster: KubernetesCluster, engine: str
) -> None:
    apply(cluster, rendered({"upstream": engine, "keys": {"values": {"K": "v"}}}))
    eventually(lambda: ready_pod(cluster, "demo-gateway") is not None)
    gateway = f"http://{ready_pod(cluster, 'demo-gateway')}:8080"
    assert 0 < call(gateway)["usage"]["completion_tokens"] <= 4
    service = cluster.call(lambda api: api.get(f"/api/v1/namespaces/{NAMESPACE}/services"))
    assert [one["metadata"]["name"] for one in service["items"]] == ["demo-gateway"]
    path = f"/api/v1/namespaces/{NAMESPACE}/endpoints/demo-gateway"
    eventually(lambda: cluster.call(lambda api: api.get(path)).get("subsets"))


def test_the_chart_s_gateway_follows_a_deployment_with_its_own_rights(
    cluster: KubernetesCluster, engine: str
) -> None:
    assert engine
    route = Route(llm="tiny", replica="tiny-0", url="http://engine", engine="emulated")
    replica = RoutedReplica(workload="engine", stateful=True, route=route)
    table = RoutingTable(epoch=1, replicas=(replica,), expected=("tiny",))
    routes = table_object(RenderOptions(name="agents", namespace=NAMESPACE), table)
    apply(cluster, [SERVICE, routes, *rendered({"deployment": "agents"})])
    eventually(lambda: ready_pod(cluster, "demo-gateway") is not None)
    gateway = f"http://{ready_pod(cluster, 'demo-gateway')}:8080"

    def served() -> bool:
        try:
            return call(gateway)["usage"]["completion_tokens"] > 0
        except urllib.error.HTTPError:
            return False

    eventually(served)
