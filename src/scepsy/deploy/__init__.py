"""Deploys a plan: starts, changes, observes and stops engines and the gateway in front of them."""

from scepsy.deploy.all_at_once import Changes, diff, stopped_first
from scepsy.deploy.backend import Applied, Backend, CutCalls, Runtime, TakenDown
from scepsy.deploy.local import Deployment, LocalBackend, RunningReplica
from scepsy.deploy.status import ReplicaStatus, Status

__all__ = [
    "Applied",
    "Backend",
    "Changes",
    "CutCalls",
    "Deployment",
    "LocalBackend",
    "ReplicaStatus",
    "RunningReplica",
    "Runtime",
    "Status",
    "TakenDown",
    "diff",
    "stopped_first",
]
