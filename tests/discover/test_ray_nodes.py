"""Nodes of Ray: the records of ray.nodes(), and what is left of their resources."""

from __future__ import annotations

from typing import Any

from scepsy.discover import describe
from scepsy.discover.ray_nodes import asks_for_gpus, ray_nodes


def record(
    node_id: str, labels: dict[str, str], alive: bool = True, **resources: float
) -> dict[str, Any]:
    return {
        "NodeID": node_id,
        "Alive": alive,
        "NodeManagerAddress": f"10.0.0.{len(node_id)}",
        "NodeManagerHostname": f"host-{node_id}",
        "NodeName": f"10.0.0.{len(node_id)}",
        "Labels": {"ray.io/node-id": node_id, **labels},
        "Resources": {"CPU": 8.0, **resources},
    }


FOREIGN = record("a", {"rack": "r1"}, GPU=4.0, **{"accelerator_type:H100": 1.0})


def test_gpus_that_ray_does_not_give_out_are_taken() -> None:
    (node,) = ray_nodes([FOREIGN, record("b", {})], {"a": {0, 3}})
    assert node.name == "host-a"
    assert [gpu.taken is None for gpu in node.gpus] == [True, False, False, True]
    described = describe([node])
    assert described.cluster.nodes[0].taken == (1, 2)
    assert described.cluster.nodes[0].gpu_type == "h100"
    assert described.cluster.nodes[0].rack == "r1"
    assert described.cluster.gpu_memory == 80e9
    assert all(gpu.taken for gpu in ray_nodes([FOREIGN], {})[0].gpus)


def test_only_gpus_without_names_are_asked_for() -> None:
    named = record("c", {"scepsy-node": "w1"}, **{"w1/gpu0": 1.0})
    dead = record("d", {}, alive=False, GPU=4.0)
    assert [asks_for_gpus(one) for one in (FOREIGN, named, dead, record("b", {}))] == [4, 0, 0, 0]


def test_the_gpus_of_our_own_cluster_are_ours() -> None:
    labels = {"scepsy-node": "w1", "scepsy-gpu-type": "h100", "scepsy-nvlink-domain": "2"}
    gpus = {f"w1/gpu{at}": 1.0 for at in range(4)}
    (node,) = ray_nodes([record("c", labels, **gpus)], {})
    (described,) = describe([node]).cluster.nodes
    assert (described.name, described.gpus, described.nvlink_domain) == ("w1", 4, 2)
    assert described.taken == ()
    whole = {"scepsy-node": "w1", "scepsy-gpu-type": "h100", "ray.io/gpu-domain": "w1"}
    (node,) = ray_nodes([record("c", whole, **gpus)], {})
    assert describe([node]).cluster.largest_domain == 4


def test_dead_nodes_and_nodes_without_gpus_are_not_there() -> None:
    dead = record("a", {}, alive=False, GPU=4.0)
    assert ray_nodes([dead, record("b", {})], {}) == ()


def test_an_unknown_type_is_said() -> None:
    (node,) = ray_nodes([record("a", {}, GPU=1.0)], {"a": {0}})
    assert "Ray does not tell the type" in node.notes[0]
    assert describe([node], gpu_type="h200").cluster.gpu_memory == 141e9
