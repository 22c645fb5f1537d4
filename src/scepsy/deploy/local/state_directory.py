"""Where deployments are kept on disk: their state, their gateway's configuration, and logs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from scepsy.core.plan import Replica
from scepsy.core.record import Record
from scepsy.deploy.local.state import Deployment
from scepsy.deploy.naming import check_deployment_name
from scepsy.engines import gpu_board
from scepsy.engines.procfs import identity, is_alive
from scepsy.errors import BadInput, Conflict, NotFound
from scepsy.store import read_record, write_record

_FILE_NAME_MAX = 200

Role = Literal["command", "supervisor"]


class Holder(Record, frozen=True, kw_only=True):
    """The process that has locked a deployment. A command may ask a supervisor to let go."""

    role: Role
    pid: int
    born: int


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
            known = ", ".join(self.names())
            others = f"choose one with --name: {known}" if known else "`scepsy deploy` makes one"
            raise NotFound(f"there is no deployment {name!r} under {self.root}; {others}")
        return read_record(path, Deployment, "a deployment's state")

    def load_if_any(self, name: str) -> Deployment | None:
        """The deployment as last written, None where there is none of that name."""
        return self.load(name) if self._state(name).exists() else None

    @contextmanager
    def locked(self, name: str, role: Role = "command") -> Generator[None]:
        """Keeps other processes from changing the deployment while the block runs. Makes its
        folder, and removes it afterwards where the block has left it empty.

        Raises Conflict where another process is changing the deployment, and BadInput where the
        folder cannot be written.
        """
        folder = self.folder(name)
        handle = self._lock(folder, name)
        holder = folder / "holder.json"
        try:
            write_record(
                holder, Holder(role=role, pid=os.getpid(), born=identity(os.getpid()) or 0)
            )
            yield
        finally:
            with suppress(OSError):
                os.unlink(holder.name, dir_fd=handle)
            # Where the deployment was removed, somebody else may have made its folder anew.
            with suppress(OSError):  # it is not empty, or removed already
                if folder.stat().st_ino == os.fstat(handle).st_ino:
                    folder.rmdir()
            os.close(handle)

    def _lock(self, folder: Path, name: str) -> int:
        """A descriptor of the folder, locked. The folder may be removed, and made anew by others,
        while we open it: a lock of a folder that has gone is worth nothing.
        """
        while True:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                handle = _opened(folder)
            except OSError as error:
                raise BadInput(
                    f"state directory {folder}: cannot be written: {error.strerror}"
                ) from error
            if handle is None:
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                raise Conflict(
                    f"another command is changing deployment {name!r}; wait until it has ended, or "
                    "choose another name with --name"
                ) from None
            with suppress(FileNotFoundError):
                if folder.stat().st_ino == os.fstat(handle).st_ino:
                    return handle
            os.close(handle)

    def holder(self, name: str) -> Holder | None:
        """The process that changes the deployment now; None where there is none."""
        with suppress(NotFound, BadInput):
            found = read_record(self.folder(name) / "holder.json", Holder)
            return found if is_alive(found.pid, found.born) else None
        return None

    def save(self, deployment: Deployment) -> None:
        """Writes the deployment. Raises BadInput where it cannot be written."""
        write_record(self._state(deployment.name), deployment)

    def remove(self, name: str) -> None:
        """Removes the deployment's folder, logs included."""
        shutil.rmtree(self.folder(name), ignore_errors=True)

    def names(self) -> list[str]:
        """Every deployment that is remembered."""
        return sorted(found.parent.name for found in self.root.glob("*/state.json"))

    def gateway_config(self, name: str) -> Path:
        return self.folder(name) / "gateway.json"

    def gateway_admin(self, name: str) -> Path:
        """The gateway's admin address and key; the running gateway writes it."""
        return self.folder(name) / "admin.json"

    def gateway_log(self, name: str) -> Path:
        return self.folder(name) / "gateway.log"

    def supervisor_log(self, name: str) -> Path:
        return self.folder(name) / "supervisor.log"

    def restarts(self, name: str) -> Path:
        """The supervisor's record of what ended and was restarted."""
        return self.folder(name) / "restarts.json"

    def engine_log(self, name: str, replica: str) -> Path:
        """The log of a replica's engine, in the deployment's folder whatever the replica's name."""
        return self.folder(name) / f"engine-{_file_name(replica)}.log"

    def boards(self, replica: Replica) -> tuple[str, ...]:
        """The boards of the replica's GPUs, on which emulated engines count memory."""
        return tuple(str(gpu_board(self.root, part.node, part.gpu)) for part in replica.slices)

    def _state(self, name: str) -> Path:
        return self.folder(name) / "state.json"

    def folder(self, name: str) -> Path:
        """The folder of a deployment. Raises BadInput for a name that is no name of a folder."""
        check_deployment_name(name)
        return self.root / name


def _file_name(replica: str) -> str:
    """The replica's name as that of a file; shortened where it is too long for one."""
    quoted = quote(replica, safe="")
    if len(quoted) <= _FILE_NAME_MAX:
        return quoted
    return f"{quoted[:_FILE_NAME_MAX]}-{hashlib.sha256(replica.encode()).hexdigest()[:16]}"


def _opened(folder: Path) -> int | None:
    """A descriptor of the folder; None where it has gone."""
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
