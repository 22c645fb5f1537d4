"""Where deployments are kept on disk: their state, their gateway's configuration, and logs."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from scepsy.core.plan import Replica
from scepsy.deploy.local.state import Deployment
from scepsy.engines import gpu_board
from scepsy.errors import BadInput, NotFound
from scepsy.store import read_record, write_record

NAME_MAX = 100
"""Bytes of a deployment's name: it is the name of a folder, and file systems take 255."""


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """`root` has one folder for each deployment, and one for the boards of the emulated GPUs, which
    all deployments under `root` share.
    """

    root: Path

    def load(self, name: str) -> Deployment:
        """The deployment as last written. Raises NotFound, or BadInput for a damaged file."""
        path = self._state(name)
        if not path.exists():
            known = ", ".join(self.names()) or "none"
            raise NotFound(f"no deployment {name!r} under {self.root}; there are: {known}")
        return read_record(path, Deployment)

    def load_if_any(self, name: str) -> Deployment | None:
        """The deployment as last written, None where there is none of that name."""
        return self.load(name) if self._state(name).exists() else None

    @contextmanager
    def locked(self, name: str) -> Generator[None]:
        """Keeps other processes from changing the deployment while the block runs. Makes its
        folder, and removes it afterwards where the block has left it empty.

        Raises BadInput where another process is changing the deployment, or where the folder
        cannot be written.
        """
        folder = self._folder(name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise BadInput(
                f"state directory {folder}: cannot be written: {error.strerror}"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise BadInput(
                f"another command is changing deployment {name!r}; wait until it has ended, or "
                "choose another name with --name"
            ) from None
        try:
            yield
        finally:
            with suppress(OSError):  # it is not empty, or removed already
                folder.rmdir()
            os.close(handle)

    def save(self, deployment: Deployment) -> None:
        """Writes the deployment. Raises BadInput where it cannot be written."""
        write_record(self._state(deployment.name), deployment)

    def remove(self, name: str) -> None:
        """Removes the deployment's folder, logs included."""
        shutil.rmtree(self._folder(name), ignore_errors=True)

    def names(self) -> list[str]:
        """Every deployment that is remembered."""
        return sorted(found.parent.name for found in self.root.glob("*/state.json"))

    def gateway_config(self, name: str) -> Path:
        return self._folder(name) / "gateway.json"

    def gateway_log(self, name: str) -> Path:
        return self._folder(name) / "gateway.log"

    def engine_log(self, name: str, replica: str) -> Path:
        """The log of a replica's engine, in the deployment's folder whatever the replica's name."""
        return self._folder(name) / f"{quote(replica, safe='')}.log"

    def boards(self, replica: Replica) -> tuple[str, ...]:
        """The boards of the replica's GPUs, on which emulated engines count memory."""
        return tuple(str(gpu_board(self.root, part.node, part.gpu)) for part in replica.slices)

    def _state(self, name: str) -> Path:
        return self._folder(name) / "state.json"

    def _folder(self, name: str) -> Path:
        if not name or "/" in name or "\0" in name or name.startswith("."):
            raise BadInput(f"deployment name {name!r}: use letters, digits and dashes")
        if len(name.encode()) > NAME_MAX:
            raise BadInput(f"deployment name {name[:20]!r}...: at most {NAME_MAX} bytes")
        return self.root / name
