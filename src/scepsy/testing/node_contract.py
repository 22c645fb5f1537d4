"""The behaviour of every backend whose nodes are machines of their own, which can be lost."""

from __future__ import annotations

from abc import abstractmethod

import msgspec

from scepsy.testing.callers import calling
from scepsy.testing.deploy_contract import DeployContract, DeploySite
from scepsy.testing.deploy_plans import plan_of


class NodeSite(DeploySite):
    """A backend under test, on machines."""

    @abstractmethod
    async def kill_node(self, name: str) -> None:
        """The node ends at once, with everything on it."""


class NodeContract(DeployContract):
    """Tests of a backend. The fixture `site` is a `NodeSite`, and otherwise as `DeployContract`
    says.
    """

    async def test_a_node_that_dies_is_planned_around(self, site: NodeSite) -> None:
        first, second = site.cluster.nodes[:2]
        both = plan_of(
            site.cluster, ("m", [f"{first.name}/0"], 1.0), ("m", [f"{second.name}/0"], 1.0)
        )
        done = await site.backend.apply(both)
        async with calling(done.url, "m") as answers:
            await site.kill_node(second.name)
            left = msgspec.structs.replace(
                site.cluster, nodes=tuple(one for one in site.cluster.nodes if one != second)
            )
            again = plan_of(left, ("m", [f"{first.name}/0"], 1.0), ("m", [f"{first.name}/1"], 1.0))
            await site.backend.apply(again)
        assert (await site.backend.status()).healthy
        assert answers.complete
        assert all("broken off" in why for why in answers.failed)
