"""`scepsy cluster discover --ray` asks a real cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from scepsy.cli.main import cli
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


def test_an_address_at_which_nothing_listens_is_named(
    ray_cluster: RayCluster, tmp_path: Path
) -> None:
    with pytest.raises(Unreachable, match=r"nothing answers at 127\.0\.0\.1:1"):
        discover("127.0.0.1:1", tmp_path / "cluster.toml")
    assert not (tmp_path / "cluster.toml").exists()
