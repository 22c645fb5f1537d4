"""Machines for tests: network, PID and mount namespaces of this one, joined by a bridge."""

from scepsy.testing.machines.commands import CommandFailed
from scepsy.testing.machines.machine import Machine
from scepsy.testing.machines.network import Network
from scepsy.testing.machines.possible import why_impossible

__all__ = ["CommandFailed", "Machine", "Network", "why_impossible"]
