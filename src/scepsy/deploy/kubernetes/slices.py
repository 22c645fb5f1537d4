"""From a cluster's EndpointSlices to the gateway's routes (pure).

The control plane keeps the slices: an engine is ready in them as long as its pod passes its
readiness probe and its node answers. So no call goes to a pod that starts, ends, or is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from scepsy.core.record import Record
from scepsy.deploy.kubernetes.fields import items, part
from scepsy.errors import BadInput
from scepsy.gateway.config import Route

Json = dict[str, Any]

TABLE_KEY = "routes.json"
"""The key of the routing table in its ConfigMap."""


class RoutedReplica(Record, frozen=True, kw_only=True):
    """A replica that the gateway may send calls to while its pod is ready.

    Attributes:
        workload: name of its Deployment or StatefulSet; the pod's name begins with it.
        stateful: whether that is a StatefulSet.
        route: the route, whose URL is filled in with the pod's address.
    """

    workload: str
    stateful: bool
    route: Route

    def owns(self, pod: str) -> bool:
        """Whether a pod of this name is its pod: StatefulSets number their pods, and Deployments
        add a digest and five characters.
        """
        rest = pod.removeprefix(self.workload + "-")
        pattern = r"\d+" if self.stateful else r"[a-z0-9]{1,12}-[a-z0-9]{5}"
        return rest != pod and re.fullmatch(pattern, rest) is not None


class RoutingTable(Record, frozen=True, kw_only=True):
    """What the deployer tells its gateways, in a ConfigMap.

    Attributes:
        epoch: number of the plan.
        replicas: those that get calls while they are ready.
        hosted: routes to endpoints outside of the cluster.
        expected: LLMs whose calls get 503, and not 404, while no replica of theirs is ready.
        drained: replicas that got no new calls and whose calls have ended, or were given up.
        closed: whether new calls are answered with 503, since the deployment is taken down.
    """

    epoch: int = 0
    replicas: tuple[RoutedReplica, ...] = ()
    hosted: tuple[Route, ...] = ()
    expected: tuple[str, ...] = ()
    drained: tuple[str, ...] = ()
    closed: bool = False


def read_table(found: Mapping[str, Json] | None) -> RoutingTable | None:
    """The routing table in a ConfigMap; None where there is none. Raises BadInput where it is
    damaged, or of a newer version.
    """
    text: str | None = part(found, "data").get(TABLE_KEY)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=RoutingTable)
    except msgspec.MsgspecError as error:
        raise BadInput(f"the routing table cannot be read: {error}") from error


def ready_pods(slices: Iterable[Json]) -> dict[str, str]:
    """By name of the pod, the URL without path of every ready endpoint. A headless Service has
    several slices, and one pod may be in more than one of them: IPv4 wins over IPv6.
    """
    found: dict[str, str] = {}
    for one in sorted(slices, key=lambda each: str(each.get("addressType")) != "IPv4"):
        for pod, url in _ready(one):
            found.setdefault(pod, url)
    return found


def _ready(one: Json) -> Iterator[tuple[str, str]]:
    kind = one.get("addressType")
    if kind not in ("IPv4", "IPv6"):
        return
    ports = [each for each in items(one, "ports") if each.get("name") in ("http", "", None)]
    port = ports[0]["port"] if ports else None
    if port is None:
        return
    for endpoint in items(one, "endpoints"):
        # An unknown state is to be read as ready, says the API; ours always know it.
        ready, pod = part(endpoint, "conditions").get("ready"), part(endpoint, "targetRef")
        if ready is False or pod.get("kind") != "Pod" or not endpoint.get("addresses"):
            continue
        address = endpoint["addresses"][0]
        host = f"[{address}]" if kind == "IPv6" else address
        yield str(pod["name"]), f"http://{host}:{port}"


def routes(table: RoutingTable, ready: Mapping[str, str]) -> tuple[Route, ...]:
    """The routes of a gateway: to each routed replica whose pod is ready, and to hosted endpoints.
    Where a Deployment has two pods for a moment, the one whose name comes first is taken.
    """
    found: list[Route] = []
    for replica in table.replicas:
        urls = [url for pod, url in sorted(ready.items()) if replica.owns(pod)]
        if urls:
            found.append(msgspec.structs.replace(replica.route, url=urls[0]))
    return (*found, *table.hosted)
