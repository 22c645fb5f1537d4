"""A PostgreSQL server for tests: a real one, of this machine's package, on a socket of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Postgres:
    """A server that can be stopped and started again."""

    folder: Path
    programs: Path
    as_user: dict[str, Any]

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def start(self) -> None:
        self._run(
            "pg_ctl", "-D", self.data, "-w", "-l", self.folder / "log", "-o", self._options, "start"
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def _options(self) -> str:
        return f"-k {self.folder} -c listen_addresses='' -c fsync=off -c shared_buffers=16MB"

    def _run(self, program: str, *arguments: object) -> None:
        argv = [str(self.programs / program), *map(str, arguments)]
        subprocess.run(
            argv, check=True, stdout=subprocess.DEVNULL, timeout=60, cwd=self.folder, **self.as_user
        )

    def create(self) -> None:
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-N")


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A running server, which ends with the block. Skips the test where there is no PostgreSQL, or
    no user that may run it: it refuses to run as root.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    program = str(found[-1]) if found else shutil.which("initdb")
    if program is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        as_user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    folder = Path(tempfile.mkdtemp(prefix="scepsy-pg-"))
    server = Postgres(folder, Path(program).parent, as_user)
    try:
        if as_user:
            os.chown(folder, as_user["user"], as_user["group"])
        server.create()
        server.start()
        try:
            yield server
        finally:
            if (server.data / "postmaster.pid").exists():
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
