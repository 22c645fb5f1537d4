"""Makes a plan real: starts, changes, watches and stops engines and their gateway."""

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
