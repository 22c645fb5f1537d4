"""Runs nvidia-smi on this machine."""

from __future__ import annotations

import shutil
import subprocess

from scepsy.discover.nvidia_smi.machine import COLLECT
from scepsy.errors import NotFound, Unreachable

_SECONDS = 120.0
"""The time for one call. On a machine of many GPUs without a persistence daemon one takes tens of
seconds.
"""


def ask_nvidia_smi() -> str:
    """What `nvidia-smi -q -x` and `nvidia-smi topo -m` print, one after the other.

    Raises:
        NotFound: there is no nvidia-smi on this machine.
        Unreachable: it failed or did not end; quotes its last line.
    """
    if shutil.which("nvidia-smi") is None:
        raise NotFound(
            f"there is no nvidia-smi on this machine; run `{COLLECT}` on the machine with the GPUs "
            "and give what it prints with --from FILE"
        )
    return _run("nvidia-smi", "-q", "-x") + "\n" + _run("nvidia-smi", "topo", "-m")


def _run(*command: str) -> str:
    line = " ".join(command)
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise Unreachable(f"{line}: no answer within {_SECONDS:.0f} s") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise Unreachable(f"{line}: exit code {done.returncode}: {said}")
    return done.stdout
