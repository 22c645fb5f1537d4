"""`scepsy cluster discover --ray` asks real clusters, one of ours and one of somebody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from scepsy.cli.main import cli
from scepsy.core.cluster import Cluster, Node
from scepsy.errors import Unreachable
from scepsy.store import read_cluster
from scepsy.testing.ray_cluster import RayCluster

pytestmark = pytest.mark.ray


def discover(address: str, out: Path, *arguments: str) -> str:
    options = ["--ray", address, "--out", str(out), "--force", *arguments]
    done = CliRunner().invoke(cli, ["cluster", "discover", *options])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_our_own_cluster_is_found_as_it_was_described(whole: RayCluster, tmp_path: Path) -> None:
    out = tmp_path / "cluster.toml"
    discover(whole.address, out)
    assert read_cluster(out) == whole.cluster


HOLD = """
import ray, sys
from scepsy.deploy.ray.connection import connect
def holder():
    class Holder:
        def gpus(self):
            return ray.get_runtime_context().get_accelerator_ids()["GPU"]
    return ray.remote(Holder)
connect(sys.argv[1])
actor = holder().options(num_gpus=0.5, num_cpus=0, name="other", lifetime="detached").remote()
print(*ray.get(actor.gpus.remote(), timeout=120))
"""
"""Another program, which uses half a GPU and says which one it got."""


@pytest.fixture
def foreign(ray_cluster: RayCluster) -> Iterator[RayCluster]:
    """A cluster whose GPUs Ray counts itself, beside ours."""
    del ray_cluster  # it says whether there can be one at all
    cluster = Cluster(nodes=(Node(name="f1", gpus=3),))
    with RayCluster(cluster, gpus_by_name=False) as made:
        yield made


def test_gpus_that_another_program_uses_are_taken_and_probes_leave_nothing(
    foreign: RayCluster, tmp_path: Path
) -> None:
    """In processes of their own, since Ray reads the token of a cluster once for a process."""
    environment = {**os.environ, **foreign.env}

    def python(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, *arguments],
            env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=300,
        ).stdout  # fmt: skip

    out = tmp_path / "cluster.toml"
    used = int(python("-c", HOLD, foreign.address))
    command = ("cluster", "discover", "--ray", foreign.address, "--out", str(out))
    python("-m", "scepsy", *command, "--gpu-type", "h100")
    (node,) = read_cluster(out).nodes
    assert (node.gpus, node.taken) == (3, (used,))
    python("-m", "scepsy", *command, "--gpu-type", "h100", "--force")
    assert read_cluster(out).nodes == (node,)


def test_an_address_at_which_nothing_listens_is_named(
    ray_cluster: RayCluster, tmp_path: Path
) -> None:
    with pytest.raises(Unreachable, match=r"nothing answers at 127\.0\.0\.1:1"):
        discover("127.0.0.1:1", tmp_path / "cluster.toml")
    assert not (tmp_path / "cluster.toml").exists()
