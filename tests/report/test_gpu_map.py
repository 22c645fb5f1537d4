"""Everything that was placed is on the map, as wide as its share, and nothing overlaps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_report import ALLOCATION, CLUSTER, placed

from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Allocation, LlmAllocation, Placement, Replica, Slice
from scepsy.place import place
from scepsy.report.gpu_map.cluster import gpu_map
from scepsy.report.gpu_map.row import OVERLAP
from scepsy.report.gpu_map.shapes import FULL, SMALL, GpuMap, Style, shortened

COLOURS = {part.llm: f"llm-{index}" for index, part in enumerate(ALLOCATION)}


@st.composite
def allocations(draw: st.DrawFn) -> Allocation:
    """Three LLMs; about half of them fit on eight GPUs."""
    parts: list[LlmAllocation] = []
    for name in ("a", "b", "c"):
        share = draw(st.sampled_from([0.1, 0.25, 0.3, 0.5, 1.0]))
        tp = draw(st.sampled_from([1, 2, 4])) if share == 1.0 else 1
        replicas = draw(st.integers(1, 4))
        parts.append(
            LlmAllocation(llm=name, tp=tp, gpu_share=share, memory_share=share, replicas=replicas)
        )
    return Allocation(llms=tuple(parts))


@given(allocations(), st.sampled_from([FULL, SMALL]))
def test_slices_are_as_wide_as_their_shares_and_lie_apart(
    allocation: Allocation, style: Style
) -> None:
    placement = place(allocation, CLUSTER)
    if not isinstance(placement, Placement):
        return
    drawn = gpu_map(CLUSTER, placement, {}, style)
    wide = drawn.gpus[0].width
    assert all(box.width == pytest.approx(box.share * wide) for box in drawn.slices)
    assert sorted(box.replica for box in drawn.slices) == sorted(
        replica.replica for replica in placement.replicas for _ in replica.slices
    )
    for index, box in enumerate(drawn.slices):
        for other in drawn.slices[index + 1 :]:
            beside = min(box.x + box.width, other.x + other.width) - max(box.x, other.x)
            assert beside < 1e-6 or box.y != other.y
    assert _taken(drawn) == pytest.approx(CLUSTER.gpus * wide)


def _taken(drawn: GpuMap) -> float:
    return sum(box.width for box in (*drawn.slices, *drawn.idle))


def test_a_tensor_parallel_group_is_joined_across_each_gap() -> None:
    drawn = gpu_map(CLUSTER, placed(*ALLOCATION), COLOURS)
    joints = [box for box in drawn.bridges if box.replica == "generator-0"]
    slices = [box for box in drawn.slices if box.replica == "generator-0"]
    assert len(joints) == 3
    for joint, left, right in zip(joints, slices[:-1], slices[1:], strict=True):
        assert joint.x == pytest.approx(left.x + left.width - OVERLAP)
        assert joint.x + joint.width == pytest.approx(right.x + OVERLAP)


def test_every_replica_is_named_and_idle_capacity_is_shown() -> None:
    drawn = gpu_map(CLUSTER, placed(*ALLOCATION), COLOURS)
    texts = {caption.text for caption in drawn.captions}
    assert {"generator-0", "verifier-0", "embedder-0", "reranker-0", "reranker-1"} <= texts
    assert {"node-a", "node-b", "TP4", "TP2", "idle", "idle 30%"} <= texts


def test_a_group_on_scattered_gpus_is_named_on_each_stretch() -> None:
    held = tuple(Slice(node="n", gpu=g, gpu_share=1.0, memory_share=0.5) for g in (0, 2, 3))
    cluster = Cluster(nodes=(Node(name="n", gpus=4),))
    placement = Placement(replicas=(Replica(replica="x-0", llm="x", tp=3, slices=held),))
    drawn = gpu_map(cluster, placement, {"x": "llm-0"})
    assert [caption.text for caption in drawn.captions].count("x-0") == 2
    assert len(drawn.bridges) == 3


def test_domains_are_framed_and_hold_their_gpus() -> None:
    cluster = Cluster(nodes=(Node(name="n", gpus=8, nvlink_domain=4), Node(name="m", gpus=2)))
    drawn = gpu_map(cluster, Placement(replicas=()), {})
    assert len(drawn.domains) == 3
    compute = [box for box in drawn.gpus if not box.css]
    for gpu in compute:
        assert any(
            frame.x < gpu.x
            and gpu.x + gpu.width < frame.x + frame.width
            and frame.y < gpu.y < frame.y + frame.height
            for frame in drawn.domains
        )
    assert max(box.x + box.width for box in drawn.domains) <= drawn.width
    assert len(drawn.idle) == 10


def test_long_names_are_cut_rather_than_spilled() -> None:
    name = "a-very-long-name-of-an-llm-that-nobody-can-read"
    part = LlmAllocation(llm=name, tp=1, gpu_share=0.1, memory_share=0.1, replicas=1)
    drawn = gpu_map(CLUSTER, placed(part), {name: "llm-0"})
    (upright,) = [caption for caption in drawn.captions if caption.upright]
    assert upright.text.startswith("a-ver")
    assert upright.text.endswith("\N{HORIZONTAL ELLIPSIS}-0")
    assert any(name in box.title for box in drawn.slices)


def test_long_node_names_push_the_gpus_aside() -> None:
    cluster = Cluster(nodes=(Node(name="gpu-box-0017.rack-3.hall-b", gpus=1),))
    drawn = gpu_map(cluster, Placement(replicas=()), {})
    assert drawn.domains[0].x > 7 * len(cluster.nodes[0].name)


@given(st.text(min_size=1, max_size=30), st.integers(4, 20))
def test_shortened_text_fits(text: str, room: int) -> None:
    assert len(shortened(text, room)) <= max(room, 2)
    assert shortened(text, 30) == text
