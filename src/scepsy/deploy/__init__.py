"""Deploys a plan: starts, changes, observes and stops engines and the gateway in front of them."""

from scepsy.deploy.backend import Applied, Backend, CutCalls, Runtime, TakenDown
from scepsy.deploy.local import Deployment, LocalBackend, RunningReplica
from scepsy.deploy.status import ReplicaStatus, Status

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
