"""The present state of one deployment, written to disk with every step."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec

from scepsy.deploy.local.state import Deployment, RunningReplica
from scepsy.deploy.local.state_directory import StateDirectory


@dataclass(slots=True)
class DeploymentFile:
    """The deployment that `files` holds under `current.name`. Whoever changes it has locked it.
    Where it no longer `writes`, changes are kept in memory only.
    """

    files: StateDirectory
    current: Deployment
    writes: bool = True

    def find(self, name: str) -> RunningReplica | None:
        """The replica of this name, None where none is known."""
        return next((one for one in self.current.replicas if one.name == name), None)

    def put(self, one: RunningReplica) -> None:
        """Notes a replica. It replaces an earlier note of the same name."""
        others = tuple(other for other in self.current.replicas if other.name != one.name)
        self.change(replicas=(*others, one))

    def forget(self, names: Collection[str]) -> None:
        """Removes replicas that have gone."""
        left = tuple(one for one in self.current.replicas if one.name not in names)
        self.change(replicas=left)

    def change_each(self, names: Collection[str], **fields: Any) -> None:
        """Sets fields of these replicas."""
        changed = tuple(
            msgspec.structs.replace(one, **fields) if one.name in names else one
            for one in self.current.replicas
        )
        if changed != self.current.replicas:
            self.change(replicas=changed)

    def change(self, **fields: Any) -> None:
        """Sets fields of the deployment. Raises BadInput where it cannot be written."""
        self.current = msgspec.structs.replace(self.current, **fields)
        if self.writes:
            self.files.save(self.current)
