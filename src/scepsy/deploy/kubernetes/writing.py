"""Writes objects into a cluster by server-side apply, and removes those that are ours."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from scepsy.deploy.kubernetes.api import ApiRefusal, Json, KubernetesApi
from scepsy.deploy.kubernetes.fields import part
from scepsy.deploy.kubernetes.objects import labels
from scepsy.deploy.kubernetes.objects.options import RenderOptions
from scepsy.deploy.kubernetes.refusals import explained
from scepsy.deploy.kubernetes.resources import ApiVersions, collection, path_of, title
from scepsy.errors import BadInput, Conflict, NotFound

MANAGER = "scepsy"
"""Our field manager."""

MANAGED_BY = "app.kubernetes.io/managed-by"

KINDS = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("v1", "Service"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("v1", "ServiceAccount"),
    ("v1", "ConfigMap"),
)
"""Every kind of object that a deployment may have, in the order in which they are removed."""

_OPTIONAL_KINDS = (
    ("resource.k8s.io/v1", "ResourceClaim"),
    ("resource.k8s.io/v1", "ResourceClaimTemplate"),
)


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one deployment in a cluster.

    Attributes:
        versions: what the API server offers.
        options: name and namespace of the deployment.
    """

    api: KubernetesApi
    versions: ApiVersions
    options: RenderOptions

    @property
    def selector(self) -> str:
        """Selects the objects that are ours, and nobody else's."""
        own = {**labels.instance(self.options), MANAGED_BY: "scepsy"}
        return ",".join(f"{key}={value}" for key, value in own.items())

    def ours(self, found: Json) -> bool:
        own = {**labels.instance(self.options), MANAGED_BY: "scepsy"}
        have = part(found, "metadata", "labels")
        return all(have.get(key) == value for key, value in own.items())

    async def apply(self, obj: Json, *, dry: bool = False) -> tuple[Json | None, Json]:
        """Applies an object; returns it as it was before, None where it is new, and as it is now.
        With `dry` the server checks everything and writes nothing.

        Raises:
            Conflict: another field manager owns a field of it, or it is not this deployment's.
            BadInput: a right is missing, a quota is used up, or the object is not valid.
        """
        fitted = self.versions.fitted(obj)
        what = title(fitted)
        query = {"fieldManager": MANAGER, **({"dryRun": "All"} if dry else {})}
        try:
            before = await self.api.find(path_of(fitted))
            if before is not None and fitted["kind"] != "PriorityClass" and not self.ours(before):
                raise Conflict(
                    f"{what} exists and does not belong to deployment {self.options.name!r}; "
                    "choose another name with --name, or delete it"
                )
            return before, await self.api.patch(path_of(fitted), fitted, "apply", **query)
        except ApiRefusal as refusal:
            raise explained(refusal, what) from refusal

    async def check(self, objects: Iterable[Json]) -> list[tuple[Json | None, Json]]:
        """What `apply` would make of each object. Raises as it does; nothing is changed. To bind a
        role, the server wants it to be there, so a first RoleBinding is not checked.
        """
        return [await self._checked(one) for one in objects]

    async def tried(
        self, objects: Iterable[Json]
    ) -> list[tuple[Json | None, Json] | BadInput | Conflict]:
        """As `check`, with the refusal of each object that the server refuses."""
        found: list[tuple[Json | None, Json] | BadInput | Conflict] = []
        for one in objects:
            try:
                found.append(await self._checked(one))
            except (BadInput, Conflict) as refusal:
                found.append(refusal)
        return found

    async def _checked(self, obj: Json) -> tuple[Json | None, Json]:
        try:
            return await self.apply(obj, dry=True)
        except NotFound:
            if obj["kind"] != "RoleBinding":
                raise
            return None, obj

    async def find(self, version: str, kind: str, name: str) -> Json | None:
        """One object of the namespace, None where there is none."""
        path = f"{collection(version, kind, self.options.namespace)}/{name}"
        try:
            return await self.api.find(path)
        except ApiRefusal as refusal:
            raise explained(refusal, f"{kind} {self.options.namespace}/{name}") from refusal

    async def list(self, version: str, kind: str, selector: str) -> list[Json]:
        """The objects of a kind in the namespace that a label selector chooses."""
        found = self.versions.fitted({"apiVersion": version, "kind": kind})
        path = collection(found["apiVersion"], kind, self.options.namespace)
        try:
            listed = await self.api.get(path, labelSelector=selector)
        except ApiRefusal as refusal:
            raise explained(refusal, f"{kind}s of {self.options.namespace}") from refusal
        items: list[Json] = listed["items"]
        # Lists do not say what their items are.
        return [{"apiVersion": found["apiVersion"], "kind": kind, **one} for one in items]

    async def events(self, obj: Json) -> list[Json]:
        """What the control plane has said of an object, the latest last."""
        meta = obj["metadata"]
        about = f"involvedObject.name={meta['name']},involvedObject.kind={obj['kind']}"
        path = collection("v1", "Event", self.options.namespace)
        try:
            listed = await self.api.get(path, fieldSelector=about)
        except ApiRefusal as refusal:
            raise explained(refusal, f"events of {title(obj)}") from refusal
        return sorted(listed["items"], key=lambda one: str(one.get("lastTimestamp") or ""))

    async def delete(self, obj: Json, **options: Any) -> None:
        """Deletes an object and what belongs to it. One that is gone already is no fault."""
        try:
            body = {"propagationPolicy": "Background", **options}
            await self.api.delete(path_of(obj), body)
        except ApiRefusal as refusal:
            if refusal.status != 404:
                raise explained(refusal, title(obj)) from refusal

    async def delete_all(self, keep: Collection[str] = ()) -> None:
        """Deletes every object of the deployment but those whose titles are in `keep`."""
        optional = [one for one in _OPTIONAL_KINDS if self.versions.offers(*_parts(one[0]))]
        for version, kind in (*KINDS, *optional):
            found = await self.list(version, kind, self.selector)
            going = [one for one in found if title(one) not in keep]
            await asyncio.gather(*(self.delete(one) for one in going))


def _parts(version: str) -> tuple[str, tuple[str, ...]]:
    group, _, number = version.partition("/")
    return group, (number,)
