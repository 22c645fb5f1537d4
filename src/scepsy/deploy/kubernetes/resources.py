"""Where objects of each kind are in a cluster's API, and which of its versions a server offers
(pure).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_PLURALS = {
    "ConfigMap": "configmaps",
    "Deployment": "deployments",
    "EndpointSlice": "endpointslices",
    "Event": "events",
    "HTTPRoute": "httproutes",
    "InferencePool": "inferencepools",
    "Lease": "leases",
    "NetworkPolicy": "networkpolicies",
    "Node": "nodes",
    "Pod": "pods",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "PodGroup": "podgroups",
    "PriorityClass": "priorityclasses",
    "ResourceClaim": "resourceclaims",
    "ResourceClaimTemplate": "resourceclaimtemplates",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Secret": "secrets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "StatefulSet": "statefulsets",
}
_WITHOUT_NAMESPACE = ("Node", "PriorityClass")

_OLDER = {("policy", "PodDisruptionBudget"): ("v1", "v1beta1")}
"""Versions of a kind that have the same fields as far as we use them, the preferred one first."""

_SLICES = ("v1", "v1beta1")
"""Versions of discovery.k8s.io whose EndpointSlices `slices` can read."""


@dataclass(frozen=True, slots=True)
class ApiVersions:
    """The versions of each API group that a server offers, for example {"policy": {"v1"}}."""

    groups: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> ApiVersions:
        """From what the server says at /apis."""
        return cls(
            {
                group["name"]: frozenset(one["version"] for one in group["versions"])
                for group in answer["groups"]
            }
        )

    def offers(self, group: str, versions: Collection[str] = ()) -> bool:
        """Whether the group is there; with `versions`, whether one of them is."""
        found = self.groups.get(group, frozenset())
        return bool(found & set(versions)) if versions else bool(found)

    def fitted(self, obj: Json) -> Json:
        """The object in a version that the server has, where a version with equal fields is."""
        group, _, version = str(obj["apiVersion"]).rpartition("/")
        for other in _OLDER.get((group, obj["kind"]), ()):
            if version != other and self.offers(group, (version,)):
                break
            if self.offers(group, (other,)):
                return {**obj, "apiVersion": f"{group}/{other}"}
        return obj

    def missing(self, objects: Collection[Json]) -> list[str]:
        """The API versions that the objects need and the server does not offer, sorted."""
        needed = {str(self.fitted(one)["apiVersion"]) for one in objects} - {"v1"}
        return sorted(
            one for one in needed if not self.offers(one.split("/")[0], (one.split("/")[1],))
        )

    def slices_path(self, namespace: str) -> str | None:
        """Where a namespace's EndpointSlices are; None where the server has none that we read."""
        for version in _SLICES:
            if self.offers("discovery.k8s.io", (version,)):
                return f"/apis/discovery.k8s.io/{version}/namespaces/{namespace}/endpointslices"
        return None


def path_of(obj: Json) -> str:
    """The path of an object in the API."""
    meta = obj["metadata"]
    namespace = "" if obj["kind"] in _WITHOUT_NAMESPACE else str(meta.get("namespace", ""))
    return f"{collection(str(obj['apiVersion']), str(obj['kind']), namespace)}/{meta['name']}"


def collection(version: str, kind: str, namespace: str) -> str:
    """The path of all objects of a kind in a namespace; of those without one for ""."""
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    place = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{place}/{_PLURALS[kind]}"


def title(obj: Json) -> str:
    """An object as messages name it: "Deployment llm/default-a-0"."""
    meta = obj["metadata"]
    place = f"{meta['namespace']}/" if meta.get("namespace") else ""
    return f"{obj['kind']} {place}{meta['name']}"
