"""Where commands keep and find the admin addresses and keys of gateways on this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from scepsy.cli.inputs import state_directory
from scepsy.gateway.access.admin_access import (
    ADMIN_KEY_ENV,
    ADMIN_URL_ENV,
    AdminAccess,
    read_access,
)
from scepsy.gateway.config import AdminConfig

_FILES = ("*/admin.json", "ray/*/gateway.admin.json", ".gateways/*.json")
"""Under the state directory: of local deployments, of Ray's, and of gateways started by hand."""


def admin_config(host: str, port: int, names: Sequence[str]) -> AdminConfig:
    """The admin address of a gateway that is started by hand. Its key is that of the environment,
    or a new one in a file under the state directory. Where neither can be had, as on a read-only
    file system, nobody knows the key, and nobody can govern the gateway.
    """
    if os.environ.get(ADMIN_KEY_ENV):
        return AdminConfig(host=host, port=port, names=tuple(names), key_env=ADMIN_KEY_ENV)
    folder = state_directory(None) / ".gateways"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = str(folder / f"{os.getpid()}.json") if os.access(folder, os.W_OK | os.X_OK) else None
    return AdminConfig(host=host, port=port, names=tuple(names), file=file)


def announced(config: AdminConfig, access: AdminAccess) -> str:
    """Where metrics and status are, for a person."""
    if config.key_env is None and config.file is None:
        return f"metrics and status are closed: set {ADMIN_KEY_ENV} before the gateway starts"
    key = config.file or f"${config.key_env}"
    return f"metrics and status at {access.url}, with the key in {key}"


def find_admin(gateway_url: str, root: Path) -> AdminAccess | None:
    """The admin address and key of the gateway that answers calls at this URL: what the environment
    says, or else a file under the state directory `root`. None where neither knows it.
    """
    url, key = os.environ.get(ADMIN_URL_ENV), os.environ.get(ADMIN_KEY_ENV)
    if url and key:
        return AdminAccess(url=url.rstrip("/"), key=key, calls=gateway_url)
    wanted = urlsplit(gateway_url)
    if not _is_here(wanted.hostname or ""):
        return None
    found = (one for one in _published(root) if urlsplit(one.calls).port == wanted.port)
    return next(found, None)


def _published(root: Path) -> Iterator[AdminAccess]:
    """What the files say, the latest first: a gateway that was killed leaves its file behind."""
    paths = [path for pattern in _FILES for path in root.glob(pattern)]
    for path in sorted(paths, key=_written, reverse=True):
        access = read_access(path)
        if access is not None:
            yield access


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _is_here(host: str) -> bool:
    """Whether the host name or address is this machine's: only then can a socket be bound to it."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    for family, kind, _, _, address in found:
        try:
            with socket.socket(family, kind) as probe:
                probe.bind(address)
            return True
        except OSError:
            continue
    return False
