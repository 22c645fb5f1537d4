"""What a GPU map is made of, in pixels."""

from __future__ import annotations

from dataclasses import dataclass

CHARACTER = 7.4
"""Pixels of a character of the map's bold text, on average, in the widest of the usual fonts."""
UPRIGHT_FROM = 12.0
"""Pixels of width from which upright text fits."""


@dataclass(frozen=True, slots=True)
class Style:
    """Sizes in pixels; a GPU grows from `gpu_width` until the widest node fills `width`."""

    width: float
    gpu_width: float
    gpu_height: float
    gap: float
    left: float
    pad: float = 7.0
    domain_gap: float = 22.0
    row_gap: float = 16.0
    strip: float = 5.0
    number: float = 16.0

    @property
    def domain_height(self) -> float:
        """A GPU with its strip of memory and its number, and the frame around them."""
        return self.gpu_height + 3 + self.strip + self.number + 2 * self.pad - 4

    @property
    def row_height(self) -> float:
        return self.domain_height + self.row_gap


FULL = Style(width=1080, gpu_width=88, gpu_height=96, gap=16, left=84)
SMALL = Style(width=640, gpu_width=60, gpu_height=50, gap=10, left=72)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle. Those that a replica holds name it, with the share that the width stands for."""

    x: float
    y: float
    width: float
    height: float
    title: str
    css: str = ""
    replica: str = ""
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Caption:
    """Text at (x, y): centred, or from there on for a node; `upright` is turned by a quarter."""

    x: float
    y: float
    text: str
    css: str
    upright: bool = False


@dataclass(frozen=True, slots=True)
class GpuMap:
    """Everything to draw, back to front."""

    width: float
    height: float
    domains: tuple[Box, ...]
    gpus: tuple[Box, ...]
    idle: tuple[Box, ...]
    bridges: tuple[Box, ...]
    slices: tuple[Box, ...]
    memory: tuple[Box, ...]
    captions: tuple[Caption, ...]


def within(box: Box, text: str, extra: str = "") -> tuple[Caption, ...]:
    """Text in a box: across, with `extra` below it, where that fits, else upright, cut if need be;
    nothing where there is no room at all.
    """
    x, y = box.x + box.width / 2, box.y + box.height / 2
    if box.width >= len(text) * CHARACTER + 6:
        if not extra:
            return (Caption(x, y + 4, text, box.css),)
        return (
            Caption(x, y - 3, text, box.css),
            Caption(x, y + 13, extra, f"{box.css} extra"),
        )
    if box.width < UPRIGHT_FROM:
        return ()
    room = int((box.height - 4) / CHARACTER)
    return (Caption(x, y, shortened(text, room), box.css, upright=True),)


def shortened(text: str, room: int) -> str:
    """The text in at most `room` characters, with the number at its end kept."""
    if len(text) <= room:
        return text
    _, dash, number = text.rpartition("-")
    tail = dash + number if len(number) < room // 2 else ""
    return text[: max(room - len(tail) - 1, 1)] + "\N{HORIZONTAL ELLIPSIS}" + tail
