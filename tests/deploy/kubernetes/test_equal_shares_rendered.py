"""Plans for clusters whose device plugin divides GPUs: every one can be rendered."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from rendered_plans import plan_of, refused, rendered, replica

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible
from scepsy.deploy.kubernetes.launches import container_launches
from scepsy.deploy.kubernetes.objects import Rendered, RenderOptions, check, render
from scepsy.deploy.kubernetes.objects.gpus import GPU_PROFILES
from scepsy.place import place
from scepsy.search import best_placeable, search
from scepsy.testing.strategies import TableCosts, bare_plan, clusters, llm_lists, table_costs

GRAIN = 4


@st.composite
def instances(draw: st.DrawFn) -> tuple[list[LlmSpec], Cluster, TableCosts]:
    llms = draw(llm_lists())
    costs = draw(table_costs(llms, GRAIN, share_groups=True))
    return llms, draw(clusters(6, divisions=(1, 2, GRAIN))), costs


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=100)
@given(instances())
def test_every_plan_for_divided_gpus_renders_with_every_profile(
    instance: tuple[list[LlmSpec], Cluster, TableCosts],
) -> None:
    llms, cluster, costs = instance
    found = search(llms, cluster, costs, share_groups=True)
    assume(not isinstance(found, Infeasible))
    chosen = best_placeable(found, lambda allocation: place(allocation, cluster))
    assume(not isinstance(chosen, Infeasible))
    plan = bare_plan(cluster, tuple(llms), chosen.placement)
    for gpu in GPU_PROFILES:
        objects = render(plan, container_launches(plan), RenderOptions(gpu=gpu))
        assert isinstance(objects, Rendered), objects
        assert not check(objects.objects)


def test_a_plan_without_the_cluster_s_shares_is_refused_by_every_profile() -> None:
    quarters = Node(name="n1", gpus=2, shares_per_gpu=4)
    assert rendered(plan_of(replica("judge-0", "n1", (0,), 0.25), nodes=(quarters,)))
    for share in (0.5, 1.0):
        plan = plan_of(replica("judge-0", "n1", (0,), share), nodes=(quarters,))
        for gpu in GPU_PROFILES:
            said = refused(plan, gpu=gpu)
            assert "judge-0" in said
            assert "node n1 gives 1/4 of a GPU and of its memory (shares_per_gpu = 4" in said


@pytest.mark.parametrize("gpus", [(0,), (0, 1)])
def test_the_device_plugin_s_refusal_says_how_the_planner_is_told(gpus: tuple[int, ...]) -> None:
    plan = plan_of(replica("judge-0", "n1", gpus, 0.4))
    assert "`shares_per_gpu` in the cluster file" in refused(plan, gpu="device-plugin")
