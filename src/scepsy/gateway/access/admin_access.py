"""Where a gateway's admin address is, and its key: a file that only its owner may read."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec

from scepsy.core.record import Record
from scepsy.errors import BadInput

KEY_HEADER = "X-Scepsy-Admin-Key"
"""Header with the admin key. `Authorization: Bearer` does as well, but the API server of a
Kubernetes cluster keeps that one to itself.
"""

ADMIN_KEY_ENV = "SCEPSY_ADMIN_KEY"
"""Environment variable with the admin key, of gateways that are started by hand or in a cluster."""

ADMIN_URL_ENV = "SCEPSY_ADMIN_URL"
"""Environment variable with the admin address, for commands that ask a gateway of elsewhere."""

KEY_BYTES_MIN = 16
"""Length of the shortest admin key that is accepted from outside."""


class AdminAccess(Record, frozen=True, kw_only=True):
    """The admin address of one gateway, and the key that it wants.

    Attributes:
        url: the admin address.
        key: the admin key.
        calls: the address of calls, for who looks for the gateway that answers there.
    """

    url: str
    key: str
    calls: str = ""

    def __repr__(self) -> str:  # a key must not reach a log or a traceback
        return f"AdminAccess(url={self.url!r})"

    @property
    def headers(self) -> dict[str, str]:
        return {KEY_HEADER: self.key}


def new_key() -> str:
    """A key that nobody can guess."""
    return secrets.token_urlsafe(32)


def write_access(path: Path, access: AdminAccess) -> None:
    """Writes the file atomically, readable by its owner alone. Raises BadInput."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(access) + b"\n")
            os.replace(name, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from error


def read_access(path: Path) -> AdminAccess | None:
    """What the file says; None where there is none, or it cannot be read or understood: then no
    gateway of this version runs there.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=AdminAccess)
    except (OSError, msgspec.MsgspecError):
        return None
