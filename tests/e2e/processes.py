"""Finds every process that a test started, however deep, by a mark in its environment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARK = "SCEPSY_TEST_MARK"


@dataclass
class Marked:
    """Runs `scepsy` commands whose descendants can all be found."""

    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def environment(self) -> dict[str, str]:
        """With a state directory of its own: the GPUs of another test are other GPUs."""
        state = Path(tempfile.gettempdir()) / f"scepsy-test-{self.mark}"
        return {**os.environ, MARK: self.mark, "SCEPSY_STATE": str(state)}

    def scepsy(
        self, *arguments: str | Path, timeout: float = 200
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "scepsy", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            env=self.environment,
            cwd=ROOT,
        )

    def popen(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "scepsy", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            cwd=ROOT,
            start_new_session=True,
        )

    def alive(self) -> dict[int, str]:
        """Command lines, by pid, of the processes that carry the mark and run."""
        found: dict[int, str] = {}
        wanted = f"{MARK}={self.mark}".encode()
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                if wanted in (directory / "environ").read_bytes().split(b"\0"):
                    command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if command:  # a zombie has none
                        found[int(directory.name)] = command
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return found

    def gone_soon(self, patience: float = 10.0) -> dict[int, str]:
        """What is still there after at most `patience` seconds."""
        end = time.monotonic() + patience
        while (left := self.alive()) and time.monotonic() < end:
            time.sleep(0.1)
        return left


@contextmanager
def marked() -> Iterator[Marked]:
    """A `Marked` whose descendants must be gone in the end; killed where a test fails."""
    one = Marked()
    try:
        yield one
        left = one.gone_soon()
        assert not left, f"still running: {left}"
    finally:
        for pid in one.alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(one.environment["SCEPSY_STATE"], ignore_errors=True)
