"""What `scepsy render` writes is accepted by a real API server, and its pods are bound to the nodes
of the plan. Version 1.20 knows no ResourceClaims: objects of that kind are left out here.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from kubernetes_waits import eventually
from scepsy.core.plan import Plan
from scepsy.deploy.kubernetes.launches import container_launches
from scepsy.deploy.kubernetes.objects import NotCarried, RenderOptions, render
from scepsy.deploy.kubernetes.resources import ApiVersions, path_of
from scepsy.store import read_plan
from scepsy.testing.kubernetes.cluster import KubernetesCluster
from scepsy.testing.kubernetes.node_objects import NodeSpec

Json = dict[str, Any]
EXAMPLES = Path(__file__).parents[2] / "examples" / "kubernetes"
NAMESPACE = "llm"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
RUNTIME_CLASS: Json = {
    "apiVersion": "node.k8s.io/v1",
    "kind": "RuntimeClass",
    "metadata": {"name": "nvidia"},
    "handler": "nvidia",
}
SIZE = {"storage": "1Ti"}
WEIGHTS: Json = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "weights"},
    "spec": {
        "capacity": SIZE,
        "accessModes": ["ReadWriteMany"],
        "hostPath": {"path": "/weights"},
        "claimRef": {"namespace": NAMESPACE, "name": "weights"},
    },
}
CLAIM: Json = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "weights"},
    "spec": {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": SIZE},
        "storageClassName": "",
    },
}


@pytest.fixture(params=["whole-gpus", "shared-gpu", "mixed"])
def folder(request: pytest.FixtureRequest) -> Path:
    return EXAMPLES / request.param


@pytest.fixture
def plan(folder: Path) -> Plan:
    return read_plan(folder / "plan.json")


@pytest.fixture
def nodes(cluster: KubernetesCluster, plan: Plan) -> Iterator[None]:
    """The nodes of the plan, and its namespace."""
    for number, node in enumerate(plan.cluster.nodes):
        cluster.add_node(NodeSpec(name=node.name, gpus=node.gpus, subnet=f"10.88.{40 + number}"))
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    cluster.call(lambda api: api.post("/api/v1/namespaces", body))
    cluster.call(lambda api: api.post("/api/v1/persistentvolumes", WEIGHTS))
    path = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"
    cluster.call(lambda api: api.post(path, CLAIM))
    yield
    cluster.call(lambda api: api.delete("/api/v1/persistentvolumes/weights"))
    path = f"/api/v1/namespaces/{NAMESPACE}"
    cluster.call(lambda api: api.delete(path))
    eventually(lambda: cluster.call(lambda api: api.find(path)) is None)
    for node in plan.cluster.nodes:
        cluster.remove_node(node.name)


def apply(cluster: KubernetesCluster, objects: list[Json]) -> None:
    versions = ApiVersions.of(cluster.call(lambda api: api.get("/apis")))
    path = f"/apis/node.k8s.io/v1/runtimeclasses/{RUNTIME_CLASS['metadata']['name']}"
    cluster.call(lambda api: api.patch(path, RUNTIME_CLASS, "apply", fieldManager="test"))
    for one in objects:
        if one["kind"] != "ResourceClaim":
            fitted = versions.fitted(_without_claims(one))
            cluster.call(
                lambda api, o=fitted: api.patch(path_of(o), o, "apply", fieldManager="test")
            )


def _without_claims(one: Json) -> Json:
    """Without the fields that this version does not know, which server-side apply refuses."""
    found = copy.deepcopy(one)
    pod = found.get("spec", {}).get("template", {}).get("spec", {})
    pod.pop("resourceClaims", None)
    for container in pod.get("containers", ()):
        container["resources"].pop("claims", None)
    return found


def pods(cluster: KubernetesCluster) -> list[Json]:
    return cluster.call(lambda api: api.get(PODS))["items"]


def condition(pod: Json, name: str) -> Json:
    found = {one["type"]: one for one in pod["status"].get("conditions", ())}
    return found.get(name, {})


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize("folder", [EXAMPLES / "shared-gpu"])
def test_engines_that_share_a_gpu_start_one_after_another(
    cluster: KubernetesCluster, plan: Plan
) -> None:
    """Emulated engines in the place of vLLM's; the claims are not there on this version."""
    llms = tuple(msgspec.structs.replace(llm, engine="emulated") for llm in plan.llms)
    emulated = msgspec.structs.replace(plan, llms=llms)
    options = RenderOptions(namespace=NAMESPACE, gpu="dra")
    rendered = render(emulated, container_launches(emulated), options)
    assert not isinstance(rendered, NotCarried)
    apply(cluster, list(rendered.objects))
    eventually(
        lambda: (
            len(found := pods(cluster)) == len(plan.placement.replicas)
            and all(condition(pod, "Ready").get("status") == "True" for pod in found)
        ),
        limit=300,  # one after another
    )
    by_replica = {
        pod["metadata"]["annotations"]["scepsy/replica-name"]: pod for pod in pods(cluster)
    }
    sharing = sorted(one.replica for one in plan.placement.replicas if one.gpu_share < 1)
    assert len(sharing) == 3
    for before, after in pairwise(sharing):
        ready = condition(by_replica[before], "Ready")["lastTransitionTime"]
        (engine,) = by_replica[after]["status"]["containerStatuses"]
        assert ready <= engine["state"]["running"]["startedAt"]


@pytest.mark.usefixtures("nodes")
def test_committed_objects_are_accepted_and_their_pods_bound_as_planned(
    cluster: KubernetesCluster, folder: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = {"vllm/vllm-openai:v0.29.0"}
    monkeypatch.setattr(cluster, "absent_images", cluster.absent_images | images)
    apply(
        cluster,
        [
            one
            for path in sorted((folder / "objects").glob("*.yaml"), reverse=True)
            for one in yaml.safe_load_all(path.read_text())
        ],
    )
    wanted = Counter((one.replica, one.slices[0].node) for one in plan.placement.replicas)

    def bound() -> Counter[tuple[str, str]]:
        return Counter(
            (pod["metadata"]["annotations"]["scepsy/replica-name"], pod["spec"].get("nodeName"))
            for pod in pods(cluster)
        )

    eventually(lambda: bound() == wanted)
