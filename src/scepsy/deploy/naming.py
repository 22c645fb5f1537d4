"""The names that deployments may have (pure)."""

from __future__ import annotations

from scepsy.errors import BadInput

NAME_MAX = 100
"""Bytes: a name is that of a folder, and file systems take 255."""


def check_deployment_name(name: str) -> None:
    """Raises BadInput for a name that cannot be that of a folder, or a part of an actor's name."""
    if not name or "/" in name or not name.isprintable() or name.startswith("."):
        raise BadInput(f"deployment name {name!r}: use letters, digits and dashes")
    if len(name.encode()) > NAME_MAX:
        raise BadInput(f"deployment name {name[:20]!r}...: at most {NAME_MAX} bytes")
