"""How each profile gives pods the GPUs of a plan, and what it refuses."""

from __future__ import annotations

from collections import Counter
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from rendered_plans import plan_of, refused, rendered, replica
from schema_validation import validate

from scepsy.core.cluster import Node
from scepsy.core.plan import Plan
from scepsy.deploy.kubernetes.launches import container_launches
from scepsy.deploy.kubernetes.objects import NotCarried, RenderOptions, check, render
from scepsy.deploy.kubernetes.objects.options import GpuProfileName
from scepsy.testing.strategies import plans

PROFILES = get_args(GpuProfileName)
UUIDS = tuple(f"GPU-{number:08d}" for number in range(4))
QUARTERS = plan_of(
    *(replica(f"judge-{index}", "n2", (0,), 0.25) for index in range(3)),
    replica("generator-0", "n2", (2, 3)),
    nodes=(Node(name="n2", gpus=4, uuids=UUIDS),),
)
GROUP_PARTS = plan_of(replica("judge-0", "n2", (0, 1), 0.5), replica("judge-1", "n2", (0, 1), 0.5))


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    return workload["spec"]["template"]["spec"]


def environment(workload: dict[str, Any]) -> dict[str, str]:
    (container,) = pod(workload)["containers"]
    return {entry["name"]: entry["value"] for entry in container["env"]}


@pytest.mark.parametrize("gpu", PROFILES)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=50)
@given(plan=plans(share_groups=True))
def test_every_plan_is_rendered_or_refused_with_a_reason(gpu: GpuProfileName, plan: Plan) -> None:
    found = render(plan, container_launches(plan), RenderOptions(gpu=gpu))
    if isinstance(found, NotCarried):
        assert all(reason.endswith(".") for reason in found.reasons)
        return
    assert not check(found.objects)
    assert set(found.replicas) == {one.replica for one in plan.placement.replicas}
    if gpu in ("dra", "mps-hostpath", "hami"):
        assert _distinct_gpus(found.objects, gpu) == Counter(
            node
            for node, _ in {
                (part.node, part.gpu) for one in plan.placement.replicas for part in one.slices
            }
        )


def _distinct_gpus(objects: tuple[dict[str, Any], ...], gpu: str) -> Counter[str]:
    """By node, the GPUs that pods are bound to, each counted once."""
    counts = {
        one["metadata"]["name"]: one["spec"]["devices"]["requests"][0]["exactly"]["count"]
        for one in objects
        if one["kind"] == "ResourceClaim"
    }
    seen: set[tuple[str, str]] = set()
    found: Counter[str] = Counter()
    for one in objects:
        if one["kind"] not in ("Deployment", "StatefulSet"):
            continue
        required = pod(one)["affinity"]["nodeAffinity"]
        terms = required["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        (node,) = terms[0]["matchExpressions"][0]["values"]
        if gpu == "dra":
            (claim,) = pod(one)["resourceClaims"]
            numbers = [
                f"{claim['resourceClaimName']}/{i}"
                for i in range(counts[claim["resourceClaimName"]])
            ]
        elif gpu == "hami":
            notes = one["spec"]["template"]["metadata"]["annotations"]
            numbers = notes["nvidia.com/use-gpuindexes"].split(",")
        else:
            numbers = environment(one)["NVIDIA_VISIBLE_DEVICES"].split(",")
        found[node] += len({(node, number) for number in numbers} - seen)
        seen |= {(node, number) for number in numbers}
    return found


@pytest.mark.parametrize("gpu", PROFILES[1:])
def test_objects_are_valid_at_every_version_that_has_them(gpu: GpuProfileName) -> None:
    found = rendered(QUARTERS, gpu=gpu)
    assert not check(found.objects)
    assert validate(found.objects)


def test_pods_that_share_a_gpu_name_one_claim_with_one_mps_daemon() -> None:
    found = rendered(QUARTERS, gpu="dra")
    claims = {
        one["metadata"]["name"]: one for one in found.objects if one["kind"] == "ResourceClaim"
    }
    named = {
        name: pod(one)["resourceClaims"][0]["resourceClaimName"]
        for name, one in found.replicas.items()
    }
    assert len({named[f"judge-{index}"] for index in range(3)}) == 1
    shared = claims[named["judge-0"]]["spec"]["devices"]
    (config,) = shared["config"]
    # The driver reads mpsConfig without asking whether it is there.
    assert config["opaque"]["parameters"]["sharing"] == {"strategy": "MPS", "mpsConfig": {}}
    (selector,) = shared["requests"][0]["exactly"]["selectors"]
    assert "'GPU-00000000'" in selector["cel"]["expression"]
    whole = claims[named["generator-0"]]["spec"]["devices"]
    assert whole["requests"][0]["exactly"]["count"] == 2
    assert "config" not in whole


def test_a_claim_stays_the_same_when_shares_change() -> None:
    """It cannot be changed: pods that stay hold it."""
    halves = plan_of(
        *(replica(f"judge-{index}", "n2", (0,), 0.5) for index in range(2)),
        nodes=QUARTERS.cluster.nodes,
    )
    before, after = (
        [one["spec"] for one in rendered(plan, gpu="dra").objects if one["kind"] == "ResourceClaim"]
        for plan in (QUARTERS, halves)
    )
    assert after[0] == before[0]


@pytest.mark.parametrize("gpu", ["dra", "mps-hostpath", "kai"])
def test_a_part_limits_itself_under_mps(gpu: GpuProfileName) -> None:
    found = rendered(QUARTERS, gpu=gpu)
    assert environment(found.replicas["judge-0"])["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "25"
    mounts = pod(found.replicas["judge-0"])["containers"][0]["volumeMounts"]
    assert "/dev/shm" not in {mount["mountPath"] for mount in mounts}
    assert not any(
        name.startswith("CUDA_MPS") for name in environment(found.replicas["generator-0"])
    )


def test_hami_gets_whole_numbers_for_each_gpu() -> None:
    found = rendered(QUARTERS, gpu="hami").replicas["judge-0"]
    limits = pod(found)["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpucores"] == "25"
    assert limits["nvidia.com/gpumem"] == str(20_000_000_000 // 2**20)
    assert (
        found["spec"]["template"]["metadata"]["annotations"]["nvidia.com/use-gpuuuid"] == UUIDS[0]
    )
    assert not any(name.startswith("CUDA_MPS") for name in environment(found))


def test_parts_of_tp_groups_are_carried_where_one_daemon_has_all_their_gpus() -> None:
    assert "one share only" in refused(GROUP_PARTS, gpu="device-plugin")
    assert "each GPU has its own MPS daemon" in refused(GROUP_PARTS, gpu="mps-hostpath")
    assert rendered(GROUP_PARTS, gpu="mps-hostpath", mps_pipe="/run/mps")
    found = rendered(GROUP_PARTS, gpu="dra")
    assert any("nobody is known to have run" in need for need in found.needs)


def test_a_gpu_in_two_groups_is_refused_with_claims() -> None:
    overlapping = plan_of(
        replica("judge-0", "n2", (0, 1), 0.5), replica("judge-1", "n2", (0,), 0.5)
    )
    assert "a GPU is in one claim" in refused(overlapping, gpu="dra")


def test_kai_refuses_parts_that_it_would_not_put_on_one_gpu() -> None:
    much_memory = plan_of(*QUARTERS.placement.replicas[:3], nodes=QUARTERS.cluster.nodes)
    slices = [
        type(one.slices[0])(node="n2", gpu=0, gpu_share=share, memory_share=memory)
        for one, (share, memory) in zip(
            much_memory.placement.replicas, [(0.2, 0.6), (0.7, 0.3)], strict=False
        )
    ]
    replicas = [
        type(one)(replica=one.replica, llm=one.llm, tp=1, slices=(part,))
        for one, part in zip(much_memory.placement.replicas, slices, strict=False)
    ]
    assert "adds up to 1.30" in refused(plan_of(*replicas, nodes=QUARTERS.cluster.nodes), gpu="kai")


def test_engines_of_an_llm_are_scheduled_together_on_request() -> None:
    group = rendered(QUARTERS, gpu="dra", gang="podgroup")
    assert validate(group.objects)
    assert not check(group.objects)
    (judges,) = (
        one["spec"]
        for one in group.objects
        if one["kind"] == "PodGroup" and one["metadata"]["name"] == "default-judge"
    )
    assert judges == {"schedulingPolicy": {"gang": {"minCount": 3}}}
    queued = rendered(QUARTERS, gpu="dra", gang="kueue", queue="team-a").replicas["judge-0"]
    assert queued["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"


def test_each_llm_has_a_pool_and_a_route_on_request() -> None:
    found = rendered(QUARTERS, gpu="dra", gateway="inferencepool")
    kinds = Counter(one["kind"] for one in found.objects)
    assert kinds["InferencePool"] == kinds["HTTPRoute"] == 2
    assert not check(found.objects)
    assert any("Routing by runs" in sentence for sentence in found.lost)
