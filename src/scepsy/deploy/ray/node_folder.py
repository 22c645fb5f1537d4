"""Where a node keeps logs, configurations and the boards of emulated GPUs."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote


def node_folder() -> Path:
    """$SCEPSY_STATE, or else the XDG state directory, of the user that Ray runs as."""
    if named := os.environ.get("SCEPSY_STATE"):
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "scepsy"


def log_path(deployment: str, what: str) -> Path:
    """The log of an engine or gateway, in the deployment's folder whatever its name."""
    return node_folder() / "ray" / quote(deployment, safe="") / f"{quote(what, safe='')}.log"
