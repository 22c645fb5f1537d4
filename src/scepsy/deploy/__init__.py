"""Deploys a plan: starts, changes, observes and stops engines and the gateway in front of them."""

from scepsy.deploy.local import LocalBackend
from scepsy.deploy.reconcile import Changes, diff, stopped_first
from scepsy.deploy.state import Deployment, ReplicaStatus, RunningReplica, Status

__all__ = [
    "Changes",
    "Deployment",
    "LocalBackend",
    "ReplicaStatus",
    "RunningReplica",
    "Status",
    "diff",
    "stopped_first",
]
