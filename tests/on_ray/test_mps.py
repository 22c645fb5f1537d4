"""MPS daemons: their command line, and who needs one. Nothing here runs on a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import EngineKind
from scepsy.core.plan import Replica
from scepsy.deploy.ray.mps import MpsDaemon, needs_mps, why_not_shared
from scepsy.testing.deploy_plans import plan_of

CLUSTER = Cluster(nodes=(Node(name="w1", gpus=4),))


def replica(share: float, gpus: int = 1) -> Replica:
    placed = ("m", [f"w1/{gpu}" for gpu in range(gpus)], share)
    return plan_of(CLUSTER, placed).placement.replicas[0]


def test_a_daemon_owns_one_gpu_which_is_number_0_for_its_clients() -> None:
    daemon = MpsDaemon(3, Path("/run/mps"))
    assert daemon.argv == ("nvidia-cuda-mps-control", "-f")
    assert daemon.env["CUDA_VISIBLE_DEVICES"] == "3"
    assert daemon.env["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert daemon.client_env == {
        "CUDA_VISIBLE_DEVICES": "0",
        "CUDA_MPS_PIPE_DIRECTORY": daemon.env["CUDA_MPS_PIPE_DIRECTORY"],
    }
    other = MpsDaemon(2, Path("/run/other"))
    assert daemon.pipes != other.pipes


@pytest.mark.parametrize(
    ("engine", "share", "gpu_type", "needs"),
    [
        ("vllm", 0.5, "h100", True),
        ("sglang", 0.25, "a100", True),
        ("vllm", 1.0, "h100", False),
        ("vllm", 0.5, "cpu", False),
        ("emulated", 0.5, "h100", False),
        ("llamacpp", 0.5, "cpu", False),
    ],
)
def test_only_engines_that_share_a_real_gpu_need_one(
    engine: EngineKind, share: float, gpu_type: str, needs: bool
) -> None:
    assert needs_mps(replica(share), engine, gpu_type) is needs


def test_parts_of_several_gpus_are_refused() -> None:
    assert "plan without --share-groups" in str(why_not_shared(replica(0.5, 2), "vllm", "h100"))
    assert why_not_shared(replica(1.0, 2), "vllm", "h100") is None
    assert why_not_shared(replica(0.5, 2), "emulated", "h100") is None
