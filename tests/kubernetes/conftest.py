"""A cluster that all tests of this folder share: a real control plane, and nodes of processes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from scepsy.errors import NotFound
from scepsy.testing.kubernetes.cluster import KubernetesCluster, kubernetes_cluster
from scepsy.testing.kubernetes.control_plane import programs_folder

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.kubernetes)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesCluster]:
    """A cluster without nodes. Skips, and says why, where it cannot be had."""
    try:
        programs_folder()
        _addresses_are_local()
    except (NotFound, OSError) as error:
        pytest.skip(f"no control plane: {error}")
    with kubernetes_cluster(tmp_path_factory.mktemp("cluster") / "run") as found:
        yield found


def _addresses_are_local() -> None:
    """Raises OSError outside of scripts/kubernetes/in_namespace.sh."""
    with socket.socket() as probe:
        try:
            probe.bind(("10.88.0.1", 0))
        except OSError as error:
            raise OSError("pods have no addresses here; run `make test-kubernetes`") from error
