"""A Ray cluster of machines in namespaces, for all tests of this folder."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator

import pytest

from scepsy.core.cluster import Cluster, Node
from scepsy.deploy.ray.connection import disconnect
from scepsy.testing.machines import why_impossible
from scepsy.testing.ray_cluster import RayCluster

NODES = ("w1", "w2", "w3")


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayCluster]:
    """A head and three nodes of two GPUs each. Tests may kill nodes; see `whole`."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: make setup-ray")
    reason = why_impossible()
    if reason is not None:
        pytest.skip(f"machines cannot be made here: {reason}")
    cluster = Cluster(nodes=tuple(Node(name=name, gpus=2) for name in NODES))
    with RayCluster(cluster) as made, pytest.MonkeyPatch.context() as patch:
        for name, value in made.env.items():
            patch.setitem(os.environ, name, value)
        yield made
        disconnect()


@pytest.fixture
def whole(ray_cluster: RayCluster) -> RayCluster:
    """The cluster with all of its nodes: those that a test has killed or cut are started again."""
    ray_cluster.mend()
    return ray_cluster
