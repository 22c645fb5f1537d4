"""One row of a GPU map: a node, its GPUs, and what replicas take of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from scepsy.core.cluster import Node
from scepsy.core.plan import Replica
from scepsy.report import wording
from scepsy.report.gpu_map.shapes import Box, Caption, Style, within

IDLE_FROM = 5e-3
"""Free shares below this are rounding."""
OVERLAP = 4.0
"""Pixels by which a bridge reaches under the slices that it joins, so that no seam shows."""


@dataclass(frozen=True, slots=True)
class ReplicaPart:
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
class NodeRow:
    """One node; `parts` by GPU. Its shapes are given kind by kind, as they lie over each other."""

    node: Node
    parts: Mapping[int, Sequence[ReplicaPart]]
    colours: Mapping[str, str]
    style: Style
    wide: float
    top: float

    def domains(self) -> Iterator[Box]:
        """Frames around the GPUs that share NVLink."""
        for domain in self.node.all_domains:
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
        """The part of each GPU that no replica has, and whole GPUs that others use."""
        for gpu in range(self.node.gpus):
            used = sum(part.share for part in self.parts.get(gpu, ()))
            if used < 1 - IDLE_FROM:
                left, width = self._left(gpu) + used * self.wide, (1 - used) * self.wide
                text = f"idle {wording.percent(1 - used)}" if used else "idle"
                text = "taken" if gpu in self.node.taken else text
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
            replica = group[0].replica
            title = f"{replica.replica}: one engine over {len(group)} GPUs"
            css = self.colours.get(replica.llm, "")
            for gpu in range(group[0].gpu, group[-1].gpu):
                x = self._left(gpu) + self.wide - OVERLAP
                width = self._left(gpu + 1) + OVERLAP - x
                yield Box(x, y, width, thick, title, css, replica.replica)

    def captions(self) -> Iterator[Caption]:
        """Names of the node, the GPUs, the replicas, and the idle parts that have room for it."""
        middle = self._y + self.style.gpu_height / 2
        yield Caption(0, middle - 2, self.node.name, "node")
        yield Caption(
            0, middle + 14, f"{self.node.gpus} {wording.TIMES} {self.node.gpu_type}", "type"
        )
        for gpu in range(self.node.gpus):
            x = self._left(gpu) + self.wide / 2
            yield Caption(x, self._strip_y + self.style.strip + 12, f"GPU {gpu}", "number")
        for group in self._groups():
            for run in _runs(group):
                yield from self._name(run)
        for box in self.idle():
            yield from within(box, box.title)

    def _name(self, run: Sequence[ReplicaPart]) -> tuple[Caption, ...]:
        first, last, replica = self._slice(run[0]), self._slice(run[-1]), run[0].replica
        whole = Box(first.x, first.y, last.x + last.width - first.x, first.height, "", first.css)
        size = f"TP{replica.tp}" if run[0].share >= 1 else f"{wording.share(run[0].share)} GPU"
        return within(whole, replica.replica, size)

    def _slice(self, part: ReplicaPart) -> Box:
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

    def _groups(self) -> Iterable[Sequence[ReplicaPart]]:
        groups: dict[str, list[ReplicaPart]] = defaultdict(list)
        for gpu in sorted(self.parts):
            for part in self.parts[gpu]:
                groups[part.replica.replica].append(part)
        return groups.values()

    def _left(self, gpu: int) -> float:
        style = self.style
        wider = 2 * style.pad + style.domain_gap - style.gap
        domains_before = gpu // self.node.domain_size
        return style.left + style.pad + gpu * (self.wide + style.gap) + domains_before * wider

    @property
    def _y(self) -> float:
        return self.top + self.style.pad

    @property
    def _strip_y(self) -> float:
        return self._y + self.style.gpu_height + 3


def _runs(group: Sequence[ReplicaPart]) -> Iterator[Sequence[ReplicaPart]]:
    """Stretches of neighbouring whole GPUs, which read as one box."""
    run = [group[0]]
    for before, part in pairwise(group):
        if part.gpu != before.gpu + 1 or part.share < 1:
            yield run
            run = []
        run.append(part)
    yield run
