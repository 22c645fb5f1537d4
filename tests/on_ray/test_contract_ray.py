"""The contract of all backends, on Ray: real raylets on machines of namespaces."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from ray_site import RaySite

from scepsy.testing.node_contract import NodeContract
from scepsy.testing.ray_cluster import RayCluster


@pytest.mark.ray
class TestRay(NodeContract):
    long_call = 4800  # an actor is a process of its own, which imports Ray first

    @pytest.fixture
    async def site(self, whole: RayCluster) -> AsyncGenerator[RaySite]:
        site = RaySite(whole)
        yield site
        whole.mend()
        await site.clear()
