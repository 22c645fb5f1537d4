"""Scepsy: plans, deploys and routes the LLMs of agentic workflows on a GPU cluster.

The names below are the whole public API. Each is imported when it is first used, so that `import
scepsy` is fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scepsy.core.cluster import Cluster, Node
    from scepsy.core.llm import LlmSpec
    from scepsy.core.plan import Infeasible, Plan, Target
    from scepsy.core.profile import Profile
    from scepsy.core.trace import Trace
    from scepsy.deploy import LocalBackend
    from scepsy.drive import Workload
    from scepsy.errors import ScepsyError
    from scepsy.marking import workflow
    from scepsy.planning.planner import plan
    from scepsy.store import read_profile, read_traces

_HOMES = {
    "Cluster": "scepsy.core.cluster",
    "Infeasible": "scepsy.core.plan",
    "LlmSpec": "scepsy.core.llm",
    "LocalBackend": "scepsy.deploy",
    "Node": "scepsy.core.cluster",
    "Plan": "scepsy.core.plan",
    "Profile": "scepsy.core.profile",
    "ScepsyError": "scepsy.errors",
    "Target": "scepsy.core.plan",
    "Trace": "scepsy.core.trace",
    "Workload": "scepsy.drive",
    "plan": "scepsy.planning.planner",
    "read_profile": "scepsy.store",
    "read_traces": "scepsy.store",
    "workflow": "scepsy.marking",
}

__all__ = [
    "Cluster",
    "Infeasible",
    "LlmSpec",
    "LocalBackend",
    "Node",
    "Plan",
    "Profile",
    "ScepsyError",
    "Target",
    "Trace",
    "Workload",
    "plan",
    "read_profile",
    "read_traces",
    "workflow",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'scepsy' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
