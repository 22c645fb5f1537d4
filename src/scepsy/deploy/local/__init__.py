"""The local backend: one OS process per replica on this machine, and a gateway in front of them."""

from scepsy.deploy.local.backend import LocalBackend
from scepsy.deploy.local.state import Deployment, RunningReplica

__all__ = ["Deployment", "LocalBackend", "RunningReplica"]
