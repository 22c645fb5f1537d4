"""The interface of stores of API keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from scepsy.gateway.access.api_keys import ApiKey, KeyLimits


class KeyStore(Protocol):
    """Keeps API keys. Every method blocks, and raises Unreachable where the store does not answer.
    All processes that use one store see each other's changes at once.
    """

    def load(self) -> Sequence[ApiKey]:
        """Every key, also those that were revoked, in the order in which they were made."""
        ...

    def create(self, name: str, limits: KeyLimits, now: float) -> tuple[ApiKey, str]:
        """Makes a key; returns it and its secret, which is kept nowhere."""
        ...

    def revoke(self, key_id: str, now: float) -> None:
        """The key stops to work. Raises NotFound where there is none of that id."""
        ...

    def rotate(self, key_id: str, keep_old: float, now: float) -> str:
        """A new secret for the key; old ones work for `keep_old` more seconds. Raises NotFound
        where there is none of that id, or it was revoked.
        """
        ...

    def close(self) -> None:
        """Ends its connections."""
        ...
