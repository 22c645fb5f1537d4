"""A Ray cluster that others run, too: its GPUs have no names, and some of them are taken."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
from ray_site import RaySite, eventually

from scepsy.core.cluster import Cluster, Node
from scepsy.deploy.ray.api import RayApi, ray_module
from scepsy.deploy.ray.connection import connect, disconnect
from scepsy.deploy.ray.state import load
from scepsy.errors import BadInput
from scepsy.testing.callers import call
from scepsy.testing.deploy_plans import plan_of
from scepsy.testing.machines import why_impossible
from scepsy.testing.ray_cluster import RayCluster

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def others() -> Iterator[RayCluster]:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: make setup-ray")
    reason = why_impossible()
    if reason is not None:
        pytest.skip(f"machines cannot be made here: {reason}")
    if "ray" in sys.modules:
        disconnect()
    cluster = Cluster(nodes=tuple(Node(name=name, gpus=2) for name in ("w1", "w2")))
    with RayCluster(cluster, gpus_by_name=False) as made, pytest.MonkeyPatch.context() as patch:
        for name, value in made.env.items():
            patch.setitem(os.environ, name, value)
        yield made
        disconnect()


@pytest.fixture
async def site(others: RayCluster) -> AsyncGenerator[RaySite]:
    site = RaySite(others)
    await asyncio.to_thread(connect, site.backend.address)
    yield site
    await site.clear()


async def held() -> set[tuple[str, int]]:
    found = await load(RayApi(), "default")
    return set() if found is None else {one.gpu for one in found.held}


async def until_free(gpus: float) -> None:
    """Waits until so many GPUs are free: Ray's count comes a little late."""

    async def so_many() -> bool:
        return (await RayApi().available()).get("GPU", 0.0) == gpus

    await eventually(so_many)


async def test_exactly_the_gpus_of_the_plan_are_held(site: RaySite) -> None:
    placed = [("m", ["w1/1"], 0.5), ("k", ["w1/1"], 0.5), ("m", ["w2/0", "w2/1"], 1.0)]
    done = await site.backend.apply(plan_of(site.cluster, *placed))
    assert await held() == {("w1", 1), ("w2", 0), ("w2", 1)}
    await until_free(1.0)
    assert await call(done.url, "m", 4) is None
    assert await call(done.url, "k", 4) is None
    await site.backend.apply(plan_of(site.cluster, ("k", ["w1/1"], 0.5)))
    assert await held() == {("w1", 1)}
    await site.backend.down()
    await until_free(4.0)


async def test_a_gpu_that_others_have_is_named_and_nothing_is_kept(site: RaySite) -> None:
    taken: Any = await asyncio.to_thread(occupy, "w1")
    placed = [("m", ["w1/0"], 1.0), ("m", ["w1/1"], 1.0)]
    with pytest.raises(BadInput, match=r"GPU 'w1/[01]' is taken .* free GPUs of w1: [01]\."):
        await site.backend.apply(plan_of(site.cluster, *placed))
    await until_free(3.0)
    assert not await site.engines()
    await asyncio.to_thread(ray_module("ray.util").remove_placement_group, taken)


def occupy(node: str) -> Any:
    """A placement group of another program that has one GPU of the node."""
    there = next(one for one in ray_module().nodes() if one["NodeManagerHostname"] == node)
    where = [{"ray.io/node-id": there["NodeID"]}]
    group = ray_module("ray.util").placement_group([{"GPU": 1}], bundle_label_selector=where)
    assert group.wait(120)
    return group
