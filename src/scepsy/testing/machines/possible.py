"""Whether machines can be made of namespaces here."""

from __future__ import annotations

import os
import shutil
import subprocess

_COMMANDS = ("ip", "unshare", "nsenter", "setpriv", "mount")


def why_impossible() -> str | None:
    """The reason why this process cannot make machines; None where it can."""
    missing = [one for one in _COMMANDS if shutil.which(one) is None]
    if missing:
        return f"{', '.join(missing)} not found: install iproute2 and util-linux"
    if os.geteuid() != 0:
        return "network namespaces need root: run as root"
    links = "ip link add sy-c type bridge && ip link add sy-a type veth peer name sy-b"
    tried = subprocess.run(
        ["unshare", "--net", "--pid", "--fork", "--mount", "--mount-proc", "sh", "-c", links],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    if tried.returncode != 0:
        said = tried.stderr.strip() or f"exit code {tried.returncode}"
        return f"this kernel or container makes no namespaces, bridges or links: {said}"
    return None
