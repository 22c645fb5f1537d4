"""Records on disk, after every step, which processes a change of a deployment has started."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from scepsy.deploy.local.state import Deployment, RunningGateway, RunningReplica


@dataclass(slots=True)
class ChangeJournal:
    """The processes that a change has started. `save` writes them together with those of `current`,
    the deployment before the change.

    A process that is noted again under the same name, because it is ready now or was started once
    more, replaces the earlier note.
    """

    current: Deployment
    save: Callable[[Deployment], None]
    gateway: RunningGateway | None = None
    _replicas: dict[str, RunningReplica] = field(default_factory=dict[str, RunningReplica])

    @property
    def replicas(self) -> tuple[RunningReplica, ...]:
        return tuple(self._replicas.values())

    def note_replica(self, one: RunningReplica) -> None:
        self._replicas[one.replica.replica] = one
        self._save()

    def note_gateway(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self._save()

    def _save(self) -> None:
        self.save(
            msgspec.structs.replace(
                self.current,
                replicas=(*self.current.replicas, *self.replicas),
                gateway=self.gateway or self.current.gateway,
            )
        )
