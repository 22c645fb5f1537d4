"""GPUs that others use are left out: by domains, what-ifs, profiles and the map."""

from __future__ import annotations

from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Allocation, Infeasible, LlmAllocation, Placement
from scepsy.place import place
from scepsy.planning.what_if import with_one_fewer
from scepsy.profiler.setup import gpus_of_one_node, gpus_over_all_nodes
from scepsy.report.gpu_map.cluster import gpu_map

HALF = Node(name="n", gpus=4, nvlink_domain=2, taken=(1, 2))
CLUSTER = Cluster(nodes=(HALF, Node(name="m", gpus=4, taken=(0,))))


def test_domains_have_free_gpus_only() -> None:
    assert HALF.free == (0, 3)
    assert HALF.domains == ((0,), (3,))
    assert Node(name="n", gpus=4, nvlink_domain=2, taken=(0, 1)).domains == ((2, 3),)
    assert (CLUSTER.gpus, CLUSTER.largest_domain) == (5, 3)


def test_a_group_is_placed_between_taken_gpus_or_not_at_all() -> None:
    pair = LlmAllocation(llm="a", tp=2, gpu_share=1.0, memory_share=1.0, replicas=1)
    placement = place(Allocation(llms=(pair,)), CLUSTER)
    assert isinstance(placement, Placement)
    assert [(part.node, part.gpu) for part in placement.replicas[0].slices] == [("m", 1), ("m", 2)]
    assert isinstance(place(Allocation(llms=(pair,)), Cluster(nodes=(HALF,))), Infeasible)


def test_one_gpu_fewer_is_one_free_gpu_fewer() -> None:
    fewer = with_one_fewer(CLUSTER)
    assert fewer.gpus == CLUSTER.gpus - 1
    assert fewer.nodes[1].free == (1, 2)
    assert with_one_fewer(Cluster(nodes=(HALF, Node(name="m", gpus=1, taken=(0,))))).gpus == 1


def test_a_profile_is_measured_on_free_gpus_only() -> None:
    assert gpus_over_all_nodes(CLUSTER) == {0, 3, 5, 6, 7}
    assert gpus_of_one_node(CLUSTER) == {1, 2, 3}


def test_the_map_says_which_gpus_are_taken() -> None:
    drawn = gpu_map(CLUSTER, Placement(replicas=()), {})
    titles = [box.title for box in drawn.idle]
    assert titles.count("taken") == 3
    assert titles.count("idle") == 5
    assert len(drawn.domains) == 3
