"""The map of the cluster: nodes as rows, GPUs as boxes, replicas as parts of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Placement, Replica
from scepsy.report import wording
from scepsy.report.mapshapes import FULL, Box, Caption, GpuMap, Style, within

IDLE_FROM = 5e-3
"""Free shares below this are rounding."""
OVERLAP = 4.0
"""Pixels by which a bridge reaches under the slices that it joins, so that no seam shows."""


def gpu_map(
    cluster: Cluster, placement: Placement, colours: Mapping[str, str], style: Style = FULL
) -> GpuMap:
    """The map of `placement`; the width of a slice is its share of a GPU's width."""
    parts = _parts(placement)
    wide = _gpu_width(cluster, style)
    rows = [
        Row(node, parts[node.name], colours, style, wide, 1 + number * style.row_height)
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


@dataclass(frozen=True, slots=True)
class Part:
    """A replica's slice of one GPU: what it takes of compute and memory, and where that begins."""

    replica: Replica
    gpu: int
    share: float
    share_from: float
    memory: float
    memory_from: float

    @property
    def title(self) -> str:
        held = "whole GPUs" if self.share >= 1 else f"{wording.share(self.share)} of a GPU"
        return (
            f"{self.replica.replica}: {self.replica.llm}, TP{self.replica.tp}, {held}, "
            f"{wording.percent(self.memory)} of the memory"
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One node; `parts` by GPU. Its shapes are given kind by kind, as they lie over each other."""

    node: Node
    parts: Mapping[int, Sequence[Part]]
    colours: Mapping[str, str]
    style: Style
    wide: float
    top: float

    def domains(self) -> Iterator[Box]:
        """Frames around the GPUs that share NVLink."""
        for domain in self.node.domains:
            width = len(domain) * (self.wide + self.style.gap) - self.style.gap
            yield Box(
                self._left(domain[0]) - self.style.pad,
                self.top,
                width + 2 * self.style.pad,
                self.style.domain_height,
                f"{self.node.name}: {wording.count(len(domain), 'GPU')} joined by NVLink",
            )

    def gpus(self) -> Iterator[Box]:
        """An empty GPU, and an empty strip for its memory."""
        for gpu in range(self.node.gpus):
            held = self.parts.get(gpu, ())
            title = (
                f"{self.node.name} GPU {gpu}: {wording.percent(sum(p.share for p in held))} of the "
                f"compute and {wording.percent(sum(p.memory for p in held))} of the memory taken"
            )
            yield Box(self._left(gpu), self._y, self.wide, self.style.gpu_height, title)
            yield Box(self._left(gpu), self._strip_y, self.wide, self.style.strip, title, "memory")

    def idle(self) -> Iterator[Box]:
        """What nobody took of each GPU."""
        for gpu in range(self.node.gpus):
            used = sum(part.share for part in self.parts.get(gpu, ()))
            if used < 1 - IDLE_FROM:
                left, width = self._left(gpu) + used * self.wide, (1 - used) * self.wide
                text = f"idle {wording.percent(1 - used)}" if used else "idle"
                yield Box(left, self._y, width, self.style.gpu_height, text, "idle")

    def slices(self) -> Iterator[Box]:
        """What each replica takes of each GPU's compute."""
        for part in chain.from_iterable(self.parts.values()):
            yield self._slice(part)

    def memory(self) -> Iterator[Box]:
        """What each replica takes of each GPU's memory."""
        for part in chain.from_iterable(self.parts.values()):
            yield Box(
                self._left(part.gpu) + part.memory_from * self.wide,
                self._strip_y,
                part.memory * self.wide,
                self.style.strip,
                part.title,
                self.colours.get(part.replica.llm, ""),
            )

    def bridges(self) -> Iterator[Box]:
        """Bars across the gaps between the GPUs of one replica."""
        thick = self.style.gpu_height * 0.7
        y = self._y + (self.style.gpu_height - thick) / 2
        for group in self._groups():
            first, last = self._slice(group[0]), self._slice(group[-1])
            title = f"{first.replica}: one engine over {len(group)} GPUs"
            for gpu in range(group[0].gpu, group[-1].gpu):
                start = max(self._left(gpu) + self.wide, first.x + first.width) - OVERLAP
                end = min(self._left(gpu + 1), last.x) + OVERLAP
                yield Box(start, y, end - start, thick, title, first.css, first.replica)

    def captions(self) -> Iterator[Caption]:
        """Names of the node, the GPUs, the replicas, and the idle parts that have room for it."""
        middle = self._y + self.style.gpu_height / 2
        yield Caption(0, middle - 2, self.node.name, "node")
        yield Caption(0, middle + 14, f"{self.node.gpus} × {self.node.gpu_type}", "type")
        for gpu in range(self.node.gpus):
            x = self._left(gpu) + self.wide / 2
            yield Caption(x, self._strip_y + self.style.strip + 12, f"GPU {gpu}", "number")
        for group in self._groups():
            for run in _runs(group):
                yield from self._name(run)
        for box in self.idle():
            yield from within(box, box.title)

    def _name(self, run: Sequence[Part]) -> tuple[Caption, ...]:
        first, last, replica = self._slice(run[0]), self._slice(run[-1]), run[0].replica
        whole = Box(first.x, first.y, last.x + last.width - first.x, first.height, "", first.css)
        size = f"TP{replica.tp}" if run[0].share >= 1 else f"{wording.share(run[0].share)} GPU"
        return within(whole, replica.replica, size)

    def _slice(self, part: Part) -> Box:
        return Box(
            self._left(part.gpu) + part.share_from * self.wide,
            self._y,
            part.share * self.wide,
            self.style.gpu_height,
            part.title,
            self.colours.get(part.replica.llm, ""),
            part.replica.replica,
            part.share,
        )

    def _groups(self) -> Iterable[Sequence[Part]]:
        groups: dict[str, list[Part]] = defaultdict(list)
        for gpu in sorted(self.parts):
            for part in self.parts[gpu]:
                groups[part.replica.replica].append(part)
        return groups.values()

    def _left(self, gpu: int) -> float:
        between = (
            gpu
            // self.node.domain_size
            * (2 * self.style.pad + self.style.domain_gap - self.style.gap)
        )
        return self.style.left + self.style.pad + gpu * (self.wide + self.style.gap) + between

    @property
    def _y(self) -> float:
        return self.top + self.style.pad

    @property
    def _strip_y(self) -> float:
        return self._y + self.style.gpu_height + 3


def _parts(placement: Placement) -> Mapping[str, Mapping[int, Sequence[Part]]]:
    """By node and GPU, side by side in order of the placement."""
    parts: dict[str, dict[int, list[Part]]] = defaultdict(lambda: defaultdict(list))
    for replica in placement.replicas:
        for held in replica.slices:
            beside = parts[held.node][held.gpu]
            share = sum(part.share for part in beside)
            memory = sum(part.memory for part in beside)
            beside.append(Part(replica, held.gpu, held.gpu_share, share, held.memory_share, memory))
    return parts


def _runs(group: Sequence[Part]) -> Iterator[Sequence[Part]]:
    """Stretches of neighbouring whole GPUs, which read as one box."""
    run = [group[0]]
    for before, part in pairwise(group):
        if part.gpu != before.gpu + 1 or part.share < 1:
            yield run
            run = []
        run.append(part)
    yield run


def _gpu_width(cluster: Cluster, style: Style) -> float:
    """Pixels of a GPU, such that the widest node fills the map."""

    def fitting(node: Node) -> float:
        domains = len(node.domains)
        frames = domains * (2 * style.pad + style.domain_gap) - style.domain_gap
        room = style.width - style.left - frames - style.gap * (node.gpus - domains)
        return room / max(node.gpus, 1)

    return max(style.gpu_width, min((fitting(node) for node in cluster.nodes), default=0.0))


def _all(shapes: Iterable[Iterable[Box]]) -> tuple[Box, ...]:
    return tuple(chain.from_iterable(shapes))
