"""The map of the cluster: nodes as rows, GPUs as boxes, replicas as parts of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Placement
from scepsy.report.gpu_map.row import NodeRow, ReplicaPart
from scepsy.report.gpu_map.shapes import CHARACTER, FULL, Box, GpuMap, Style


def gpu_map(
    cluster: Cluster, placement: Placement, colours: Mapping[str, str], style: Style = FULL
) -> GpuMap:
    """The map of `placement`; the width of a slice is its share of a GPU's width."""
    parts = _parts(placement)
    longest = max((len(node.name) for node in cluster.nodes), default=0)
    style = replace(style, left=max(style.left, (longest + 3) * CHARACTER))
    wide = _gpu_width(cluster, style)
    rows = [
        NodeRow(node, parts[node.name], colours, style, wide, 1 + number * style.row_height)
        for number, node in enumerate(cluster.nodes)
    ]
    domains = _all(row.domains() for row in rows)
    return GpuMap(
        width=max((box.x + box.width for box in domains), default=0.0) + 1,
        height=len(rows) * style.row_height - style.row_gap + 2,
        domains=domains,
        gpus=_all(row.gpus() for row in rows),
        idle=_all(row.idle() for row in rows),
        bridges=_all(row.bridges() for row in rows),
        slices=_all(row.slices() for row in rows),
        memory=_all(row.memory() for row in rows),
        captions=tuple(chain.from_iterable(row.captions() for row in rows)),
    )


def _parts(placement: Placement) -> Mapping[str, Mapping[int, Sequence[ReplicaPart]]]:
    """By node and GPU, side by side in order of the placement."""
    parts: dict[str, dict[int, list[ReplicaPart]]] = defaultdict(lambda: defaultdict(list))
    for replica in placement.replicas:
        for held in replica.slices:
            beside = parts[held.node][held.gpu]
            share = sum(part.share for part in beside)
            memory = sum(part.memory for part in beside)
            beside.append(
                ReplicaPart(replica, held.gpu, held.gpu_share, share, held.memory_share, memory)
            )
    return parts


def _gpu_width(cluster: Cluster, style: Style) -> float:
    """Pixels of a GPU for which the widest node fills the map."""

    def fitting(node: Node) -> float:
        domains = len(node.all_domains)
        frames = domains * (2 * style.pad + style.domain_gap) - style.domain_gap
        room = style.width - style.left - frames - style.gap * (node.gpus - domains)
        return room / max(node.gpus, 1)

    return max(style.gpu_width, min((fitting(node) for node in cluster.nodes), default=0.0))


def _all(shapes: Iterable[Iterable[Box]]) -> tuple[Box, ...]:
    return tuple(chain.from_iterable(shapes))
