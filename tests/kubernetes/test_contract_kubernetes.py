"""The contract of all backends, on a real Kubernetes control plane."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from kubernetes_site import KubernetesSite

from scepsy.testing.kubernetes.cluster import KubernetesCluster
from scepsy.testing.node_contract import NodeContract

_numbers = count(1)


class TestKubernetes(NodeContract):
    @pytest.fixture
    def site(self, cluster: KubernetesCluster) -> Iterator[KubernetesSite]:
        site = KubernetesSite(cluster, f"contract-{next(_numbers)}")
        site.begin()
        yield site
        site.end()
