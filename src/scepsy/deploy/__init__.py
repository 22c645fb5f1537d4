"""Deploys a plan: starts, changes, observes and stops engines and the gateway in front of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scepsy.deploy.backend import Applied, Backend, CutCalls, Runtime, TakenDown
from scepsy.deploy.status import ReplicaStatus, Status

if TYPE_CHECKING:
    from scepsy.deploy.local import Deployment, LocalBackend, RunningReplica

__all__ = [
    "Applied",
    "Backend",
    "CutCalls",
    "Deployment",
    "LocalBackend",
    "ReplicaStatus",
    "RunningReplica",
    "Runtime",
    "Status",
    "TakenDown",
]


def __getattr__(name: str) -> Any:
    """The local backend on first use: a gateway's image has no libraries for waves."""
    if name not in ("Deployment", "LocalBackend", "RunningReplica"):
        raise AttributeError(name)
    from scepsy.deploy import local

    return getattr(local, name)
