"""The three committed examples are accepted by a real API server, and a scheduler finds a node for
every engine. Their images are not here, so that no engine starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kubernetes_waits import eventually
from scepsy.deploy.kubernetes.api import Json, KubernetesApi
from scepsy.deploy.kubernetes.fields import items
from scepsy.deploy.kubernetes.resources import ApiVersions, path_of
from scepsy.store import read_plan
from scepsy.testing.kubernetes.cluster import KubernetesCluster
from scepsy.testing.kubernetes.node_objects import NodeSpec

EXAMPLES = Path(__file__).parents[2] / "examples" / "kubernetes"
FOLDERS = sorted(path.parent for path in EXAMPLES.glob("*/plan.json"))
NAMESPACE = "llm"


@pytest.fixture
def namespace(cluster: KubernetesCluster) -> Iterator[str]:
    body: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    cluster.call(lambda api: api.post("/api/v1/namespaces", body))
    path = f"/api/v1/namespaces/{NAMESPACE}"
    size = {"storage": "10Gi"}
    volume = {
        "metadata": {"name": "weights"},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "capacity": size,
            "hostPath": {"path": "/nowhere"},
            "claimRef": {"namespace": NAMESPACE, "name": "weights"},
        },
    }
    claim = {
        "metadata": {"name": "weights"},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "",
            "volumeName": "weights",
            "resources": {"requests": size},
        },
    }
    # NVIDIA's operator makes it on a cluster with GPUs.
    runtime: Json = {"metadata": {"name": "nvidia"}, "handler": "nvidia"}
    runtimes = "/apis/node.k8s.io/v1/runtimeclasses"
    cluster.call(lambda api: api.post(runtimes, runtime))
    cluster.call(lambda api: api.post("/api/v1/persistentvolumes", volume))
    cluster.call(lambda api: api.post(f"{path}/persistentvolumeclaims", claim))
    yield NAMESPACE
    cluster.call(lambda api: api.delete(path))
    eventually(lambda: cluster.call(lambda api: api.find(path)) is None)
    cluster.call(lambda api: api.delete(f"{runtimes}/nvidia"))
    volume_path = "/api/v1/persistentvolumes/weights"
    cluster.call(lambda api: api.delete(volume_path))
    eventually(lambda: cluster.call(lambda api: api.find(volume_path)) is None)
    for name in cluster.nodes:
        cluster.remove_node(name)
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    for one in cluster.call(lambda api: api.get(classes))["items"]:
        if not one["metadata"]["name"].startswith("system-"):
            name = one["metadata"]["name"]
            cluster.call(lambda api, name=name: api.delete(f"{classes}/{name}"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_an_example_is_accepted_and_scheduled(
    cluster: KubernetesCluster, namespace: str, folder: Path
) -> None:
    plan = read_plan(folder / "plan.json")
    objects = [
        one
        for path in sorted((folder / "objects").glob("*.yaml"), reverse=True)
        for one in yaml.safe_load_all(path.read_text())
    ]
    cluster.absent_images |= {
        container["image"]
        for one in objects
        for kind in ("containers", "initContainers")
        for container in items(one, "spec", "template", "spec", kind)
    }
    for number, node in enumerate(plan.cluster.nodes):
        subnet = f"10.88.{120 + number}"
        cluster.add_node(NodeSpec(name=node.name, gpus=node.gpus, subnet=subnet, tainted=True))
    left_out = cluster.call(lambda api: applied(api, objects))
    # 1.20 has no dynamic resource allocation; that engines wait for a claim is not seen here.
    assert {one["kind"] for one in left_out} <= {"ResourceClaim", "ResourceClaimTemplate"}
    assert bool(left_out) == (folder.name == "shared-gpu")
    path = f"/api/v1/namespaces/{namespace}/pods"

    def placed() -> dict[str, str]:
        pods = cluster.call(lambda api: api.get(path))["items"]
        return {
            pod["metadata"]["annotations"]["scepsy/replica-name"]: pod["spec"]["nodeName"]
            for pod in pods
            if "nodeName" in pod["spec"]
        }

    def unplaced() -> list[str]:
        events = cluster.call(lambda api: api.get(f"/api/v1/namespaces/{namespace}/events"))
        return [one["message"] for one in events["items"] if one["type"] == "Warning"]

    wanted = {one.replica: one.slices[0].node for one in plan.placement.replicas}
    try:
        eventually(lambda: placed() == wanted, limit=60.0)
    except AssertionError:
        assert (placed(), unplaced()) == (wanted, [])


async def applied(api: KubernetesApi, objects: list[Json]) -> list[Json]:
    """Applies the objects whose API the server offers; returns the others."""
    versions = ApiVersions.of(await api.get("/apis"))
    left_out = [one for one in objects if versions.missing([one])]
    for one in objects:
        if one not in left_out:
            fitted = versions.fitted(one)
            # Server-side apply by 1.20 refuses the fields of dynamic resource allocation; a plain
            # creation drops them.
            await api.post(path_of(fitted).rpartition("/")[0], fitted)
    return left_out
