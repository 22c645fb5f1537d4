"""An MPS daemon of our own for one GPU, apart from any other on the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONTROL = "nvidia-cuda-mps-control"


class MpsUnavailable(Exception):
    """This machine gives us no MPS; the text says why."""


@contextmanager
def daemon(gpu: str) -> Iterator[dict[str, str]]:
    """The environment that makes a process a client of a new daemon for `gpu` (a UUID).

    Its pipe and log directories are private and short-lived, so no other daemon is found, spoken
    to or stopped, and no setting of the GPU changes. Raises MpsUnavailable.
    """
    if shutil.which(CONTROL) is None:
        raise MpsUnavailable(f"{CONTROL} is not installed")
    # /tmp, not TMPDIR: the pipes are Unix sockets, whose paths may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="mps-", dir="/tmp"))
    private = {
        "CUDA_VISIBLE_DEVICES": gpu,
        "CUDA_MPS_PIPE_DIRECTORY": str(folder / "pipe"),
        "CUDA_MPS_LOG_DIRECTORY": str(folder / "log"),
    }
    try:
        for name in ("pipe", "log"):
            (folder / name).mkdir()
        started = _control(private, "-d")
        if started.returncode or _control(private, text="get_server_list\n").returncode:
            raise MpsUnavailable(f"{CONTROL} -d failed: {started.stderr.strip() or 'no answer'}")
        try:
            yield private
        finally:
            _control(private, text="quit -t 10\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def client(private: dict[str, str], share: float) -> dict[str, str]:
    """The environment of a client with `share` of the multiprocessors."""
    return {**private, "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": f"{100 * share:g}"}


def _control(
    private: dict[str, str], *arguments: str, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [CONTROL, *arguments],
            env={**os.environ, **private},
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
        )
    except subprocess.TimeoutExpired:
        raise MpsUnavailable(f"{CONTROL} {' '.join(arguments)} did not answer in 60 s") from None
