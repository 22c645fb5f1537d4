"""Keeps a copy of the objects of one kind that a cluster has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from scepsy.deploy.kubernetes.api import ApiRefusal, Json, KubernetesApi
from scepsy.errors import ScepsyError

_PAUSE = 1.0
"""Seconds until a list that could not be read is read again."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Mirror:
    """The objects at `path` that `query` selects, by name. While the API server does not answer,
    the last copy stays.

    Attributes:
        changed: set after every change.
        read: whether the list has been read at all.
    """

    api: KubernetesApi
    path: str
    query: Mapping[str, str]
    changed: asyncio.Event
    objects: dict[str, Json] = field(default_factory=dict[str, Json])
    read: bool = False

    async def follow(self) -> None:
        """Runs until it is cancelled. Raises ApiRefusal where the list may not be read at all."""
        while True:
            try:
                listed = await self.api.get(self.path, **self.query)
                self.objects = {one["metadata"]["name"]: one for one in listed["items"]}
                self.read = True
                self.changed.set()
                version = str(listed["metadata"]["resourceVersion"])
                async for event in self.api.changes(self.path, version, **self.query):
                    self._take(event)
            except ApiRefusal as refusal:
                if refusal.status in (401, 403, 404) and not self.read:
                    raise
                _log.warning("%s: %s", self.path, refusal.message)
            except ScepsyError as error:
                _log.warning("%s: %s", self.path, error)
            await asyncio.sleep(_PAUSE)

    def _take(self, event: Json) -> None:
        kind = event["type"]
        if kind == "BOOKMARK":
            return
        found: Json = event["object"]
        name = str(found["metadata"]["name"])
        if kind == "DELETED":
            self.objects.pop(name, None)
        else:
            self.objects[name] = found
        self.changed.set()
