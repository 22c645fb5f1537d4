"""What was found becomes a cluster that can be planned on, or one clear refusal."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scepsy.core.cluster import Cluster, Node
from scepsy.discover import FoundGpu, FoundNode, describe
from scepsy.discover.nvidia_smi.machine import machine
from scepsy.discover.products import gpu_type_of
from scepsy.errors import BadInput
from scepsy.hardware.gpus import gpus
from scepsy.store import cluster_toml, read_cluster

OUTPUTS = Path(__file__).resolve().parents[1] / "assets" / "discover"
H100 = FoundGpu(product="NVIDIA H100 80GB HBM3", memory=80e9)


@pytest.mark.parametrize(
    ("product", "gpu_type"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA-H100-80GB-HBM3", "h100"),
        ("NVIDIA H100 NVL", "h100"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA A100-SXM4-40GB", "a100"),
        ("A100-PCIE-40GB", "a100"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA L40", "l40"),
        ("NVIDIA B200", "b200"),
        ("NVIDIA GH200 480GB", "gh200"),
        ("NVIDIA GB200", "gb200"),
        ("NVIDIA A10G", "a10g"),
        ("Tesla V100-SXM2-32GB", "v100-sxm2"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA RTX A6000", "rtx-a6000"),
    ],
)
def test_products_have_types(product: str, gpu_type: str) -> None:
    assert gpu_type_of(product) == gpu_type


def test_every_known_type_is_the_type_of_its_own_name() -> None:
    assert {name: gpu_type_of(name) for name in gpus()} == {name: name for name in gpus()}


def node(
    name: str, *found: FoundGpu, linked: frozenset[tuple[int, int]] | None = None
) -> FoundNode:
    return FoundNode(name=name, gpus=found, linked=linked)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "no GPU was found"),
        ([node("a")], "no GPU was found"),
        (
            [node("a", H100), node("b", FoundGpu(product="NVIDIA L40S", memory=48e9))],
            r"several GPU types \(h100 on a; l40s on b\), .* as in --gpu-type h100",
        ),
        ([node("a", FoundGpu(product=""))], "nothing tells the GPU type of a; .* --gpu-type"),
        (
            [node("a", FoundGpu(product="NVIDIA GB10"))],
            "nothing tells the memory of a gb10; give it with --gpu-memory",
        ),
        ([node("a", FoundGpu(product="H100", taken="x"))], "no GPU is free to plan on: a: x"),
        ([node("a", H100), node("a", H100)], "nodes.name: a is there more than once"),
        (
            [node(n, FoundGpu(product="H100", uuid="GPU-1")) for n in ("a", "b")],
            "a and b have the same GPU GPU-1",
        ),
    ],
)
def test_what_is_no_cluster_is_refused(found: list[FoundNode], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        describe(found)


def test_one_type_is_described_and_the_others_are_named() -> None:
    display = FoundGpu(product="NVIDIA DGX Display", memory=4e9)
    l40s = FoundGpu(product="NVIDIA L40S", memory=48e9)
    described = describe([node("a", H100, display, H100), node("b", l40s)], gpu_type="h100")
    assert [each.name for each in described.cluster.nodes] == ["a"]
    assert described.cluster.nodes[0].taken == (1,)
    assert "Left out, without any h100: b." in described.notes
    assert "a: GPU 1 is left out: it is a NVIDIA DGX Display." in described.notes
    with pytest.raises(BadInput, match=r"--gpu-type h10: found were .*did you mean h100"):
        describe([node("a", H100)], gpu_type="h10")


def test_the_least_memory_counts_and_a_difference_is_said() -> None:
    large, small = (FoundGpu(product="NVIDIA A100", memory=size) for size in (80e9, 40e9))
    described = describe([node("a", large, small)])
    assert described.cluster.gpu_memory == 40e9
    assert any("40.0 GB to 80.0 GB" in note for note in described.notes)
    assert describe([node("a", large)], gpu_memory=70e9).cluster.gpu_memory == 70e9
    assert describe([node("a", FoundGpu(product="H100"))]).cluster.gpu_memory == 80e9


def test_without_nvlink_groups_stay_on_one_gpu_but_not_on_l40s() -> None:
    described = describe([node("a", H100, H100, linked=frozenset())])
    assert described.cluster.largest_domain == 1
    assert any("no NVLink" in note for note in described.notes)
    l40s = FoundGpu(product="NVIDIA L40S", memory=48e9)
    assert describe([node("a", l40s, l40s, linked=frozenset())]).cluster.largest_domain == 2
    unknown = describe([node("a", H100, H100)])
    assert unknown.cluster.largest_domain == 2
    assert any("nothing tells the NVLink domains" in note for note in unknown.notes)


@pytest.mark.parametrize("path", sorted(OUTPUTS.glob("*.txt")), ids=lambda path: path.stem)
def test_what_was_discovered_is_read_back(path: Path, tmp_path: Path) -> None:
    described = describe([machine(path.stem, path.read_text(), source=path.name)])
    written = tmp_path / "cluster.toml"
    written.write_text(cluster_toml(described.cluster, described.notes))
    assert read_cluster(written) == described.cluster


names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)


@settings(deadline=None)
@given(st.lists(names, min_size=1, max_size=3, unique=True), names, st.lists(names, max_size=3))
def test_any_names_are_read_back(nodes: list[str], rack: str, comments: list[str]) -> None:
    cluster = Cluster(
        nodes=tuple(
            Node(
                name=each,
                gpus=3,
                rack=rack,
                taken=(2,),
                uuids=(rack, rack + "x", "y" + rack),
                shares_per_gpu=4,
            )
            for each in nodes
        ),
        gpu_memory=84943044608.5,
    )
    assert msgspec.convert(tomllib.loads(cluster_toml(cluster, comments)), Cluster) == cluster
