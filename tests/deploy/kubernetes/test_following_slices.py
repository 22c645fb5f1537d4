"""The gateway's routes from EndpointSlices, and what the backend makes of other answers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Replica, Slice
from scepsy.deploy.kubernetes.api import ApiRefusal
from scepsy.deploy.kubernetes.deployment_state import (
    ClusterDeployment,
    next_state,
    packed,
    taken_back,
    unpacked,
)
from scepsy.deploy.kubernetes.diagnosis import trouble
from scepsy.deploy.kubernetes.launches import container_launches
from scepsy.deploy.kubernetes.object_diff import differences
from scepsy.deploy.kubernetes.objects import RenderOptions
from scepsy.deploy.kubernetes.objects.names import dns_label
from scepsy.deploy.kubernetes.placed import digest_of, replica_of, workload_of
from scepsy.deploy.kubernetes.refusals import explained
from scepsy.deploy.kubernetes.resources import ApiVersions, path_of
from scepsy.deploy.kubernetes.slices import RoutedReplica, RoutingTable, ready_pods, routes
from scepsy.errors import BadInput, Conflict, NotFound, Unreachable
from scepsy.gateway.config import Route
from scepsy.testing.deploy_plans import plan_of

Json = dict[str, Any]
CLUSTER = Cluster(nodes=(Node(name="n0", gpus=2),))


def piece(*endpoints: tuple[str, str, bool | None], kind: str = "IPv4") -> Json:
    return {
        "addressType": kind,
        "ports": [{"name": "http", "port": 8000}],
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {} if ready is None else {"ready": ready},
                "targetRef": {"kind": "Pod", "name": pod},
            }
            for pod, address, ready in endpoints
        ],
    }


def routed(name: str, *, stateful: bool = False) -> RoutedReplica:
    route = Route(llm="m", replica=name, url="http://pod")
    return RoutedReplica(workload=f"default-{name}", stateful=stateful, route=route)


def test_only_ready_endpoints_count_and_two_slices_are_one() -> None:
    v4 = piece(("a-0", "10.0.0.1", True), ("b-0", "10.0.0.2", False), ("c-0", "10.0.0.3", None))
    v6 = piece(("a-0", "fd00::1", True), ("d-0", "fd00::4", True), kind="IPv6")
    assert ready_pods([v6, v4]) == {
        "a-0": "http://10.0.0.1:8000",
        "c-0": "http://10.0.0.3:8000",
        "d-0": "http://[fd00::4]:8000",
    }
    assert ready_pods([{"addressType": "IPv4", "endpoints": None, "ports": None}]) == {}


def test_a_route_needs_a_ready_pod_of_its_own_workload() -> None:
    table = RoutingTable(
        replicas=(routed("m-1", stateful=True), routed("m-1-0"), routed("m-2")),
        hosted=(Route(llm="h", replica="h-endpoint", url="https://h"),),
    )
    ready = {
        "default-m-1-0": "http://1",
        "default-m-1-0-7d9f8c6b5-x2x4z": "http://2",
        "default-m-22-7d9f8c6b5-x2x4z": "http://3",
    }
    found = {one.replica: one.url for one in routes(table, ready)}
    assert found == {"m-1": "http://1", "m-1-0": "http://2", "h-endpoint": "https://h"}


@given(
    st.text("abc-0", min_size=1, max_size=90), st.text("0123456789bcdf", min_size=10, max_size=10)
)
@example(42 * "a", 10 * "b")
@example(80 * "a", 10 * "b")
def test_a_pod_of_any_workload_is_known_by_its_name(name: str, digest: str) -> None:
    """A ReplicaSet cuts the first part of its pods' names to 58 characters."""
    workload = dns_label(f"default-{name}")
    pod = f"{workload}-{digest}-"[:58] + "x2f9k"
    route = Route(llm="m", replica="m-0", url="http://pod")
    assert RoutedReplica(workload=workload, stateful=False, route=route).owns(pod)


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_routes_are_those_replicas_that_are_wanted_and_ready(
    wanted: set[int], ready: set[int]
) -> None:
    table = RoutingTable(replicas=tuple(routed(f"m-{one}") for one in wanted))
    pods = {f"default-m-{one}-5d8f-abcde": f"http://{one}" for one in ready}
    assert {one.replica for one in routes(table, pods)} == {f"m-{one}" for one in wanted & ready}


def test_versions_are_those_that_the_server_offers() -> None:
    beta, both = frozenset({"v1beta1"}), frozenset({"v1", "v1beta1"})
    old = ApiVersions({"policy": beta, "discovery.k8s.io": beta})
    new = ApiVersions({"policy": both, "discovery.k8s.io": both})
    budget: Json = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "b", "namespace": "n"},
    }
    assert path_of(old.fitted(budget)).startswith("/apis/policy/v1beta1/namespaces/n/poddisruption")
    assert new.fitted(budget) == budget
    assert "/v1beta1/" in (old.slices_path("n") or "")
    assert "/v1/" in (new.slices_path("n") or "")
    claim: Json = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim"}
    assert new.missing([budget, claim]) == ["resource.k8s.io/v1"]


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, {}, BadInput, "credentials"),
        (403, {"message": 'pods "x" is forbidden: exceeded quota: q'}, BadInput, "ResourceQuota"),
        (403, {"message": 'User "u" cannot create'}, BadInput, "a right is missing"),
        (404, {"message": 'namespaces "x" not found'}, NotFound, "create the namespace"),
        (409, {"reason": "Conflict"}, Conflict, "somebody else"),
        (422, {"message": "spec.replicas: Invalid"}, BadInput, "spec.replicas"),
        (503, {"message": "apiserver is starting"}, Unreachable, "503"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, body: Json, kind: type, words: str) -> None:
    found = explained(ApiRefusal(status, body), "Deployment n/d")
    assert isinstance(found, kind)
    assert words in str(found)
    assert "Deployment n/d" in str(found)


def test_a_conflict_names_field_and_manager() -> None:
    cause = {
        "reason": "FieldManagerConflict",
        "field": ".spec.replicas",
        "message": 'conflict with "kubectl" using apps/v1',
    }
    body = {"reason": "Conflict", "message": "Apply failed", "details": {"causes": [cause]}}
    said = str(explained(ApiRefusal(409, body), "Deployment n/d"))
    assert 'field .spec.replicas is managed by "kubectl"' in said


def test_a_dry_run_tells_fields_that_change() -> None:
    meta: Json = {"name": "d", "namespace": "n", "resourceVersion": "1"}
    before: Json = {"kind": "Deployment", "metadata": meta, "spec": {"a": 1, "b": [1, 2]}}
    after: Json = {
        "kind": "Deployment",
        "metadata": {**meta, "resourceVersion": "2"},
        "spec": {"a": 2, "b": [1, 3], "c": "x"},
        "status": {"changed": True},
    }
    assert list(differences(None, after)) == ["Deployment n/d would be created"]
    assert list(differences(before, before)) == []
    assert list(differences(before, after)) == [
        "Deployment n/d: .spec.a would change from 1 to 2",
        "Deployment n/d: .spec.b[1] would change from 2 to 3",
        'Deployment n/d: .spec.c would be set to "x"',
    ]


def test_why_a_pod_is_not_ready() -> None:
    pod: Json = {"metadata": {"name": "p"}, "status": {"containerStatuses": [{"image": "i"}]}}
    container = pod["status"]["containerStatuses"][0]
    assert trouble({}, [pod], ()) is None
    container["state"] = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    found = trouble({}, [pod], ())
    assert found is not None
    assert "image i: ImagePullBackOff: no such image" in found.text
    assert not found.final
    ended = {"terminated": {"exitCode": 2, "message": "unknown flag"}}
    container |= {"state": ended, "restartCount": 3}
    found = trouble({}, [pod], ())
    assert found is not None
    assert "unknown flag" in found.text
    assert found.final
    event = {"reason": "FailedCreate", "message": "exceeded quota: q"}
    found = trouble({}, [], [event])
    assert found is not None
    assert "ResourceQuota" in found.text


def state(gpu: str = "n0/0", seed: int = 0) -> ClusterDeployment:
    plan = plan_of(CLUSTER, ("m", [gpu], 1.0))
    return ClusterDeployment(plan=plan, epoch=1, options=RenderOptions(), port=8080, seed=seed)


def test_the_epoch_grows_where_something_changes() -> None:
    first = next_state(None, state())
    assert (first.epoch, first.options.epoch) == (1, 1)
    settled = msgspec.structs.replace(first, settled=True)
    assert next_state(settled, state()).epoch == 1
    second = next_state(settled, state(seed=1))
    assert (second.epoch, second.options.epoch) == (2, 2)
    assert taken_back(settled).epoch > second.epoch


@pytest.mark.parametrize("padding", [0, 2_000_000])
def test_a_state_of_any_size_is_read_back(padding: int) -> None:
    big = state()
    explanation = msgspec.structs.replace(big.plan.explanation, summary=("x" * padding,))
    big = msgspec.structs.replace(
        big, plan=msgspec.structs.replace(big.plan, explanation=explanation)
    )
    assert unpacked(packed(big), "ConfigMap c") == big
    with pytest.raises(BadInput, match="ConfigMap c"):
        unpacked({"data": {"deployment.json": '{"format": 99}'}}, "ConfigMap c")


def test_a_workload_tells_its_replica_and_whether_it_would_be_made_otherwise() -> None:
    plan = state().plan
    part = Slice(node="n0", gpu=1, gpu_share=1.0, memory_share=1.0)
    moved = Replica(replica="m-7", llm="m", tp=1, slices=(part,))
    made = workload_of(plan, moved, container_launches(plan), RenderOptions())
    assert replica_of(made) == moved
    assert replica_of(made["spec"]["template"]) == moved
    again = workload_of(plan, moved, container_launches(plan), RenderOptions(epoch=5))
    assert (
        made["metadata"]["annotations"]["scepsy/rendered"]
        == (again["metadata"]["annotations"]["scepsy/rendered"])
    )
    other = workload_of(plan, moved, container_launches(plan, seed=3), RenderOptions())
    assert digest_of(other) != digest_of(made)


def test_weights_stay_only_where_a_claim_keeps_them() -> None:
    loaded = (("n0", "m"),)
    alone = msgspec.structs.replace(state(), weights=loaded)
    assert alone.weights_at_hand == frozenset()
    claimed = msgspec.structs.replace(alone, options=RenderOptions(cache_claim="weights"))
    assert claimed.weights_at_hand == frozenset(loaded)


def test_labels_by_which_objects_are_known_again_are_no_difference() -> None:
    def labelled(epoch: str) -> dict[str, Any]:
        labels = {"scepsy/epoch": epoch, "scepsy/plan": f"p-{epoch}"}
        meta = {"name": "d", "namespace": "n", "labels": labels}
        return {"apiVersion": "v1", "kind": "Service", "metadata": meta}

    assert list(differences(labelled("1"), labelled("2"))) == []
