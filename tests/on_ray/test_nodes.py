"""What is said about GPUs that a plan cannot have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from scepsy.core.cluster import Cluster, Node
from scepsy.deploy.ray.connection import split
from scepsy.deploy.ray.nodes import RayNode, missing_gpus, nodes_of
from scepsy.errors import BadInput
from scepsy.testing.deploy_plans import plan_of

LISTED: list[dict[str, Any]] = [
    {
        "NodeID": "a1",
        "Alive": True,
        "NodeManagerAddress": "10.0.0.1",
        "NodeManagerHostname": "host-1",
        "Resources": {"CPU": 2.0, "w1/gpu0": 1.0, "w1/gpu1": 1.0},
        "Labels": {"scepsy-node": "w1"},
    },
    {
        "NodeID": "a2",
        "Alive": False,
        "NodeManagerAddress": "10.0.0.2",
        "NodeManagerHostname": "host-2",
        "Labels": {"scepsy-node": "w2"},
    },
    {
        "NodeID": "a3",
        "Alive": True,
        "NodeManagerAddress": "10.0.0.3",
        "NodeManagerHostname": "host-3",
        "Resources": {"GPU": 4.0},
        "Labels": {},
    },
]
NODES = nodes_of(LISTED)
FREE = {"w1/gpu0": 1.0, "w1/gpu1": 0.25}
CLUSTER = Cluster(nodes=(Node(name="w1", gpus=3), Node(name="w2", gpus=1), Node(name="x", gpus=1)))


def wrong(gpu: str, share: float, ours: Mapping[str, float] = {}) -> str | None:
    placement = plan_of(CLUSTER, ("m", [gpu], share)).placement
    holders = {"w1/gpu1": ["k-0 of deployment 'other'"]}
    return missing_gpus(placement, NODES, FREE, ours, holders)


def test_a_node_has_the_name_of_its_label_or_of_its_host() -> None:
    assert [node.name for node in NODES] == ["w1", "w2", "host-3"]
    assert [node.by_name for node in NODES] == [True, False, False]
    assert isinstance(NODES[0], RayNode)


def test_what_is_free_or_ours_can_be_had() -> None:
    assert wrong("w1/0", 1.0) is None
    assert wrong("w1/1", 0.25) is None
    assert wrong("w1/1", 1.0, ours={"w1/gpu1": 0.75}) is None


def test_what_cannot_be_had_is_named_with_what_to_do() -> None:
    assert "0.25 is free; it is used by k-0 of deployment 'other'. Take" in str(wrong("w1/1", 0.5))
    assert "does not offer GPU 'w1/gpu2'; start it with" in str(wrong("w1/2", 0.5))
    assert "node 'w2', which the plan gives to m-0, is dead" in str(wrong("w2/0", 0.5))
    assert "is not in the Ray cluster; living nodes: host-3, w1" in str(wrong("x/0", 0.5))


def test_addresses() -> None:
    assert split("10.0.0.1") == ("10.0.0.1", 6379)
    assert split("ray://head") == ("head", 10001)
    assert split("ray://head:7") == ("head", 7)


@pytest.mark.parametrize("address", ["", "ray://", "h:0", "http://h:1/x", "h:port"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(BadInput, match="--address"):
        split(address)
