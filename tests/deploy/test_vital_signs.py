"""What a supervisor knows of the health of processes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from scepsy.core.cluster import Cluster, Node
from scepsy.deploy.local.state import Deployment, RunningReplica
from scepsy.deploy.local.vital_signs import VitalSigns
from scepsy.deploy.restarts import RestartPolicy
from scepsy.engines import free_port
from scepsy.engines.procfs import identity
from scepsy.testing.deploy_plans import plan_of


async def test_a_clock_that_is_set_forward_makes_nothing_hung(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(Cluster(nodes=(Node(name="n", gpus=1),)), ("m", ["n/0"], 1.0))
    silent = RunningReplica(
        replica=plan.placement.replicas[0],
        pid=os.getpid(),
        born=identity(os.getpid()) or 0,
        url=f"http://127.0.0.1:{free_port('127.0.0.1')}",  # where nobody listens
        log=str(tmp_path / "log"),
    )
    current = Deployment(name="d", plan=plan, replicas=(silent,))
    signs = VitalSigns(RestartPolicy(hung_after=3600))
    await signs.take(current, ())
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1e6)
    await signs.take(current, ())
    assert signs.due() == []
