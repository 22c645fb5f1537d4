"""Runs the commands of iproute2 and util-linux that make namespaces."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any


class CommandFailed(Exception):
    """A command of the operating system failed; quotes what it said."""


def run(*argv: str, timeout: float = 60.0, env: Mapping[str, str] | None = None) -> str:
    """What the command prints. Raises CommandFailed where it fails or takes longer than `timeout`
    seconds.
    """
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=timeout, check=False, env=env
        )
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{' '.join(argv)}: has not ended after {timeout:g} s") from None
    except OSError as error:
        raise CommandFailed(f"{argv[0]}: {error.strerror}") from error
    if done.returncode != 0:
        said = (done.stderr + done.stdout).strip()[-2000:]
        raise CommandFailed(f"{' '.join(argv)}: exit code {done.returncode}: {said}")
    return done.stdout


def ip(*argv: str) -> str:
    """`ip` with these arguments."""
    return run("ip", *argv)


def ip_json(*argv: str) -> list[dict[str, Any]]:
    """What `ip -json` lists."""
    return json.loads(ip("-json", *argv) or "[]")
