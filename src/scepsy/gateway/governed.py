"""What a gateway offers to whoever runs it, be it one process or several."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from scepsy.gateway.access.admin_access import AdminAccess
from scepsy.gateway.config import Route


class GovernedGateway(Protocol):
    """A gateway that answers calls at `url` and is governed at `admin`."""

    @property
    def url(self) -> str: ...

    @property
    def admin(self) -> AdminAccess: ...

    def replace_routes(self, routes: Sequence[Route], waiting: Collection[str] = ()) -> None:
        """Calls go to these replicas from now on. Those of an LLM in `waiting` that has no route
        are answered with 503 instead of 404. Calls in flight end on their old replicas. A gateway
        that was closed is open again.

        Raises BadInput as `check_routes` and `check_key_variables` do.
        """
        ...

    def close(self) -> None:
        """New calls are refused with 503 until new routes come. Calls in flight go on."""
        ...
