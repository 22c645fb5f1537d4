"""What whoever deploys on Kubernetes is told when something is wrong, and what is left then."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_site import KubernetesSite

from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Plan
from scepsy.deploy.kubernetes.api import Json
from scepsy.deploy.kubernetes.backend import KubernetesBackend
from scepsy.deploy.kubernetes.objects import RenderOptions
from scepsy.errors import BadInput, Conflict, EngineFailed, NotFound, ScepsyError, Unreachable
from scepsy.testing.callers import call, calling
from scepsy.testing.deploy_plans import plan_of
from scepsy.testing.kubernetes.cluster import KubernetesCluster

ROLE = Path(__file__).parents[2] / "examples" / "kubernetes" / "deployer-role.yaml"
_numbers = count(1)


@pytest.fixture
def site(cluster: KubernetesCluster) -> Iterator[KubernetesSite]:
    site = KubernetesSite(cluster, f"faults-{next(_numbers)}")
    site.begin()
    yield site
    site.end()


def some(site: KubernetesSite, *gpus: str) -> Plan:
    return plan_of(site.cluster, *(("m", [gpu], 1.0) for gpu in gpus or ("n0/0",)))


def left(site: KubernetesSite) -> list[str]:
    """What is in the namespace that the cluster has not put there itself."""
    kinds = {
        "/apis/apps/v1": ("deployments", "statefulsets"),
        "/api/v1": ("services", "pods", "configmaps"),
        "/apis/coordination.k8s.io/v1": ("leases",),
        "/apis/policy/v1beta1": ("poddisruptionbudgets",),
        "/apis/networking.k8s.io/v1": ("networkpolicies",),
        "/apis/rbac.authorization.k8s.io/v1": ("roles", "rolebindings"),
    }
    found: list[str] = []
    for root, plurals in kinds.items():
        for plural in plurals:
            path = f"{root}/namespaces/{site.namespace}/{plural}"
            listed = site.machines.call(lambda api, path=path: api.get(path))["items"]
            found += (f"{plural}/{one['metadata']['name']}" for one in listed)
    return [one for one in found if not one.startswith("configmaps/kube-root-ca")]


def post(site: KubernetesSite, root: str, plural: str, body: Json) -> Json:
    path = f"{root}/namespaces/{site.namespace}/{plural}"
    return site.machines.call(lambda api: api.post(path, body))


async def refused(backend: KubernetesBackend, plan: Plan, kind: type[ScepsyError]) -> str:
    with pytest.raises(kind) as caught:
        await backend.apply(plan)
    return str(caught.value)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(120):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.5)


async def replaced(site: KubernetesSite, pod: str) -> bool:
    there = [one["metadata"]["name"] for one in site.pods()]
    return pod not in there and (await site.backend.status()).healthy


async def quota_is_counted(site: KubernetesSite) -> bool:
    """Before the controller has counted, a quota refuses everything with another message."""
    path = f"/api/v1/namespaces/{site.namespace}/resourcequotas/none"
    found = site.machines.call(lambda api: api.get(path))
    return bool(found.get("status", {}).get("used"))


async def noted(site: KubernetesSite) -> bool:
    return bool((await site.backend.status()).notes)


async def test_a_missing_right_is_named_and_the_documented_role_is_enough(
    site: KubernetesSite,
) -> None:
    guest = site.machines.plane.kubeconfig_of("guest", site.namespace)
    backend = KubernetesBackend(kubeconfig=guest, patience=60.0)
    said = await refused(backend, some(site), BadInput)
    assert "a right is missing" in said
    assert 'cannot create resource "leases"' in said
    assert not left(site)
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    post(site, rbac, "roles", yaml.safe_load(ROLE.read_text()))
    binding = {
        "metadata": {"name": "guest"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Role",
            "name": "scepsy-deployer",
        },
        "subjects": [{"kind": "User", "name": "guest"}],
    }
    post(site, rbac, "rolebindings", binding)
    done = await backend.apply(some(site))
    assert await call(done.url, "m", 4) is None
    assert (await backend.status()).healthy
    await backend.down()
    assert left(site) == ["roles/scepsy-deployer", "rolebindings/guest"]


async def test_a_quota_is_named_and_nothing_is_left(site: KubernetesSite) -> None:
    quota = {"metadata": {"name": "gpus"}, "spec": {"hard": {"requests.nvidia.com/gpu": "1"}}}
    post(site, "/api/v1", "resourcequotas", quota)
    site.backend.patience = 5.0
    said = await refused(site.backend, some(site, "n0/0", "n1/0"), EngineFailed)
    assert "ResourceQuota" in said
    assert "exceeded quota: gpus" in said
    assert not left(site)


async def test_an_image_that_cannot_be_had_is_named_and_nothing_is_left(
    site: KubernetesSite,
) -> None:
    image = "registry.invalid/scepsy:absent"
    site.machines.absent_images.add(image)
    site.backend.patience = 5.0
    site.backend.options = RenderOptions(images={"emulated": image})
    said = await refused(site.backend, some(site), EngineFailed)
    assert image in said
    assert "--pull-secret" in said
    assert not left(site)


async def test_an_api_that_the_cluster_lacks_is_named(site: KubernetesSite) -> None:
    """Kubernetes 1.20 drops a pod's resourceClaims without a word and would run it."""
    site.backend.options = RenderOptions(gpu="dra")
    said = await refused(site.backend, some(site), BadInput)
    assert "does not offer resource.k8s.io/v1" in said
    assert "--gpu dra" in said
    assert not left(site)


async def test_a_node_that_is_not_there_is_named(site: KubernetesSite) -> None:
    elsewhere = Cluster(nodes=(Node(name="n9", gpus=2),))
    said = await refused(site.backend, plan_of(elsewhere, ("m", ["n9/0"], 1.0)), BadInput)
    assert "n9" in said
    assert not left(site)


async def test_an_address_without_a_cluster_is_named(site: KubernetesSite, tmp_path: Path) -> None:
    config: dict[str, Any] = json.loads(site.machines.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    path = tmp_path / "config"
    path.write_text(json.dumps(config))
    said = await refused(KubernetesBackend(kubeconfig=path), some(site), Unreachable)
    assert "https://127.0.0.1:9" in said
    other = KubernetesBackend(kubeconfig=path, context="production")
    assert "production" in await refused(other, some(site), BadInput)
    nowhere = KubernetesBackend(kubeconfig=tmp_path / "none")
    assert str(tmp_path / "none") in await refused(nowhere, some(site), NotFound)
    config["users"][0]["user"]["token"] = "wrong"
    config["clusters"][0]["cluster"]["server"] = site.machines.plane.url
    path.write_text(json.dumps(config))
    said = await refused(KubernetesBackend(kubeconfig=path), some(site), BadInput)
    assert "does not accept the credentials" in said
    there = replace(site.backend, namespace="no-such-namespace")
    assert "no-such-namespace" in await refused(there, some(site), NotFound)


async def test_what_belongs_to_others_is_left_alone(site: KubernetesSite) -> None:
    theirs = {"metadata": {"name": "default-m"}, "spec": {"ports": [{"port": 80}]}}
    before = post(site, "/api/v1", "services", theirs)
    said = await refused(site.backend, some(site), Conflict)
    assert f"Service {site.namespace}/default-m exists and does not belong" in said
    assert left(site) == ["services/default-m"]
    path = f"/api/v1/namespaces/{site.namespace}/services/default-m"
    assert site.machines.call(lambda api: api.get(path)) == before


async def test_a_field_that_another_manages_is_named_and_kept(site: KubernetesSite) -> None:
    await site.backend.apply(some(site))
    path = f"/apis/policy/v1beta1/namespaces/{site.namespace}/poddisruptionbudgets/default-m"
    theirs = {
        "apiVersion": "policy/v1beta1",
        "kind": "PodDisruptionBudget",
        "spec": {"maxUnavailable": 0},
    }
    query = {"fieldManager": "platform-team", "force": "true"}
    site.machines.call(lambda api: api.patch(path, theirs, "apply", **query))
    said = await refused(site.backend, some(site, "n0/0", "n1/0"), Conflict)
    assert f"PodDisruptionBudget {site.namespace}/default-m" in said
    assert '.spec.maxUnavailable is managed by "platform-team"' in said
    kept = site.machines.call(lambda api: api.get(path))
    assert kept["spec"]["maxUnavailable"] == 0
    assert (await site.backend.status()).epoch == 1
    assert (await site.backend.status()).healthy


async def test_a_dry_run_shows_what_the_server_would_do_and_does_nothing(
    site: KubernetesSite,
) -> None:
    said = await site.backend.preview(some(site))
    assert said[0].startswith("wave 1: start m-0")
    assert f"Deployment {site.namespace}/default-m-0 would be created" in said
    assert not left(site)


async def test_a_refused_dry_run_shows_what_it_would_do_and_every_refusal(
    site: KubernetesSite,
) -> None:
    hard = {"count/deployments.apps": "0", "count/services": "0"}
    post(site, "/api/v1", "resourcequotas", {"metadata": {"name": "none"}, "spec": {"hard": hard}})
    await until(lambda: quota_is_counted(site))
    with pytest.raises(BadInput, match="a ResourceQuota of the namespace") as caught:
        await site.backend.preview(some(site))
    would = caught.value.would
    assert would[0].startswith("wave 1: start m-0")
    assert f"NetworkPolicy {site.namespace}/default-engines would be created" in would
    assert any(text.startswith("refused: ") and "Deployment" in text for text in would)
    assert left(site) == []


async def test_a_pod_that_others_keep_is_named_and_the_plan_before_stays(
    site: KubernetesSite,
) -> None:
    await site.backend.apply(some(site, "n0/0", "n1/0"))
    pod = next(one for one in site.pods() if one["metadata"]["labels"]["scepsy/replica"] == "m-1")
    path = f"/api/v1/namespaces/{site.namespace}/pods/{pod['metadata']['name']}"

    def keep(by: list[str]) -> None:
        site.machines.call(lambda api: api.patch(path, {"metadata": {"finalizers": by}}, "merge"))

    keep(["example.org/keeps"])
    site.backend.patience = 5.0
    with pytest.raises(Conflict) as caught:
        await site.backend.apply(some(site, "n0/0"), allow_dip=True)
    assert f"Pod {site.namespace}/{pod['metadata']['name']}" in str(caught.value)
    assert "'example.org/keeps'" in str(caught.value)
    assert "patch pod" in str(caught.value)
    status = await site.backend.status()
    assert {one.replica for one in status.replicas} == {"m-0", "m-1"}
    assert any("a change was interrupted" in note for note in status.notes)
    assert await call(status.url, "m", 4) is None
    keep([])
    assert (await site.backend.apply(some(site, "n0/0", "n1/0"))).replicas == ("m-0", "m-1")
    pod = site.pods()[0]
    path = f"/api/v1/namespaces/{site.namespace}/pods/{pod['metadata']['name']}"
    keep(["example.org/keeps"])
    with pytest.raises(Conflict, match="All else of the deployment was removed"):
        await site.backend.down()
    assert left(site) == [f"pods/{pod['metadata']['name']}"]
    keep([])


async def test_an_evicted_engine_finishes_its_calls(site: KubernetesSite) -> None:
    """As `kubectl drain` does, under load. The budget keeps the second one from being evicted."""
    done = await site.backend.apply(some(site, "n0/0", "n1/0"))
    async with calling(done.url, "m", callers=4) as answers:
        names = sorted(pod["metadata"]["name"] for pod in site.pods())
        body: list[Json] = [
            {
                "apiVersion": "policy/v1beta1",
                "kind": "Eviction",
                "metadata": {"name": name, "namespace": site.namespace},
            }
            for name in names
        ]
        post(site, "/api/v1", f"pods/{names[0]}/eviction", body[0])
        with pytest.raises(Exception, match="disruption budget"):
            post(site, "/api/v1", f"pods/{names[1]}/eviction", body[1])
        await until(lambda: replaced(site, names[0]))
    assert answers.complete
    assert answers.failed == []


async def test_a_lost_node_gets_no_calls_and_is_named(site: KubernetesSite) -> None:
    done = await site.backend.apply(some(site, "n0/0", "n1/0"))
    async with calling(done.url, "m") as answers:
        site.machines.kill_node("n1")
        await until(lambda: noted(site))
    status = await site.backend.status()
    assert "node n1 does not answer" in status.notes
    states = {one.node: one.state for one in status.replicas}
    assert states == {"n0": "ready", "n1": "dead"}
    assert answers.complete
    assert all("broken off" in why for why in answers.failed)
