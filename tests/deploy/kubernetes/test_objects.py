"""The Kubernetes objects of plans: every replica once, valid, always the same."""

from __future__ import annotations

import json
from collections import Counter

from hypothesis import HealthCheck, given, settings
from rendered_plans import plan_of, refused, rendered, replica
from schema_validation import validate

from scepsy.core.cluster import Node
from scepsy.core.plan import Plan
from scepsy.deploy.kubernetes.gateway_objects import gateway_objects
from scepsy.deploy.kubernetes.launches import container_launches
from scepsy.deploy.kubernetes.objects import NotCarried, RenderOptions, check, render
from scepsy.testing.strategies import plans

QUARTERS = plan_of(*(replica(f"judge-{index}", "n2", (0,), 0.25) for index in range(3)))
WHOLE = plan_of(replica("generator-0", "n1", (0, 1)), replica("generator-1", "n1", (2, 3)))


@given(plan=plans(share_groups=True))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_plan_is_rendered_with_every_replica_once_or_refused(plan: Plan) -> None:
    found = render(plan, container_launches(plan), RenderOptions())
    if isinstance(found, NotCarried):
        assert found.reasons
        assert all(reason.endswith(".") for reason in found.reasons)
        return
    assert not check(found.objects)
    assert set(found.replicas) == {one.replica for one in plan.placement.replicas}
    assert len(found.replicas) == len(plan.placement.replicas)
    assert _whole_gpus_by_node(found.objects) == Counter(
        part.node for one in plan.placement.replicas for part in one.slices if part.gpu_share >= 1
    )


def _whole_gpus_by_node(objects: tuple[dict, ...]) -> Counter[str]:
    found: Counter[str] = Counter()
    for one in objects:
        if one["kind"] not in ("Deployment", "StatefulSet"):
            continue
        pod = one["spec"]["template"]["spec"]
        limits = pod["containers"][0]["resources"]["limits"]
        terms = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        (node,) = terms["nodeSelectorTerms"][0]["matchExpressions"][0]["values"]
        if gpus := int(limits.get("nvidia.com/gpu", 0)) * one["spec"]["replicas"]:
            found[node] += gpus
    return found


def test_objects_are_valid_at_every_version() -> None:
    for plan in (WHOLE, QUARTERS):
        assert validate(rendered(plan).objects)


def test_rendering_twice_gives_the_same_bytes() -> None:
    once, again = (json.dumps(rendered(QUARTERS).objects) for _ in range(2))
    assert once == again


def test_a_new_epoch_changes_no_pod() -> None:
    one, other = (rendered(QUARTERS, epoch=epoch).replicas for epoch in (1, 2))
    assert one != other
    for name, workload in one.items():
        assert workload["spec"] == other[name]["spec"]


def test_an_engine_on_a_part_never_has_two_pods() -> None:
    assert {one["kind"] for one in rendered(QUARTERS).replicas.values()} == {"StatefulSet"}
    assert {one["kind"] for one in rendered(WHOLE).replicas.values()} == {"Deployment"}


def test_a_neighbour_more_changes_no_pod_that_is_there() -> None:
    more = plan_of(*QUARTERS.placement.replicas, replica("another-0", "n2", (0,), 0.25))
    before, after = rendered(QUARTERS), rendered(more)
    for name, workload in before.replicas.items():
        assert workload["spec"] == after.replicas[name]["spec"]
    (order,) = (one for one in after.objects if one["kind"] == "ConfigMap")
    assert [line.split("/")[2].split(".")[0] for line in order["data"]["engines"].split()] == [
        "default-another-0-0",
        "default-judge-0-0",
        "default-judge-1-0",
        "default-judge-2-0",
    ]


def test_unequal_shares_are_refused_with_what_to_do() -> None:
    mixed = plan_of(replica("judge-0", "n2", (0,), 0.25), replica("judge-1", "n2", (0,), 0.5))
    assert "n2 has shares of 0.25 (judge-0) and 0.5 (judge-1)" in refused(mixed)
    assert "`shares_per_gpu` in the cluster file" in refused(mixed)


def test_whole_gpus_beside_shares_are_refused() -> None:
    mixed = plan_of(replica("judge-0", "n2", (0,), 0.5), replica("judge-1", "n2", (1,)))
    assert "whole replicas (judge-1) and parts (judge-0)" in refused(mixed)


def test_a_group_over_two_nodes_is_refused() -> None:
    one = replica("judge-0", "n1", (0, 1))
    far = type(one)(
        replica="judge-0",
        llm="judge",
        tp=2,
        slices=(one.slices[0], replica("judge-0", "n2", (0,)).slices[0]),
    )
    assert "a TP group over the nodes n1, n2" in refused(plan_of(far))


def test_a_plan_for_the_cores_of_a_machine_is_refused() -> None:
    plan = plan_of(replica("judge-0", "n1", (0,)), nodes=(Node(name="n1", gpus=2, gpu_type="cpu"),))
    assert "--on local" in refused(plan)


def test_odd_names_become_dns_labels() -> None:
    odd = plan_of(
        replica("Org/Model_A 7.5B-0", "n1", (0,)), replica("org/model-a 7.5b-0", "n1", (1,))
    )
    objects = rendered(odd, name="Team_A").objects
    assert not check(objects)
    assert validate(objects)
    first, second = rendered(odd).replicas.values()
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert first["metadata"]["annotations"]["scepsy/llm-name"] == "Org/Model_A 7.5B"


def test_no_name_of_an_llm_is_that_of_the_deployments_own_objects() -> None:
    odd = ("gateway", "routes", "engines", "scepsy", "META/L-3.1", "meta/l-3.1", "meta-l-3-1")
    odd += ("x" * 200, "x" * 201, "y", "null", "1e3", "0x10", "\u00fc", "\u65e5\u672c", "-", "a b")
    plan = plan_of(
        *(replica(f"{name}-0", "n1", (at,)) for at, name in enumerate(odd)),
        nodes=(Node(name="n1", gpus=len(odd)),),
    )
    options = RenderOptions()
    every = (*rendered(plan).objects, *gateway_objects(options, 8080))
    assert not [problem for problem in check(every) if "two of this name" in problem]
    assert not check(rendered(plan).objects)
