"""Finds out which GPUs there are, and which of them others use: by nvidia-smi, Ray or Kubernetes.

Modules that read what those say are pure; `shells` asks them. A plan is not its business.
"""

from __future__ import annotations

from scepsy.discover.describe import Described, describe
from scepsy.discover.found import FoundGpu, FoundNode

__all__ = ["Described", "FoundGpu", "FoundNode", "describe"]
