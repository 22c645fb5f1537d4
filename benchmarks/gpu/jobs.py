"""What is measured: jobs, each of them one process (two for a pair), made of steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any, Literal

from benchmarks.gpu.shapes import LARGE, LESS_TINY, SMALL, TINY, Shape

Part = Literal["steps", "shares", "pairs", "vllm"]
PARTS: tuple[Part, ...] = ("steps", "shares", "pairs", "vllm")


@dataclass(frozen=True, slots=True)
class Point:
    """One step: `prefill` prompt tokens after `prefix` cached ones, together with `decodes`
    sequences of `context` tokens that get one more each.
    """

    prefill: int = 0
    prefix: int = 0
    decodes: int = 0
    context: int = 0

    @property
    def kv_tokens(self) -> int:
        """Tokens of KV cache that have to be held."""
        return (self.prefill + self.prefix) * (self.prefill > 0) + self.decodes * self.context


@dataclass(frozen=True, slots=True)
class Job:
    """`points`, each for about `seconds`, on `share` of a GPU; for a pair, for `seconds` beside
    `neighbour`, which is another job of one point.
    """

    part: Part
    llm: str
    points: tuple[Point, ...]
    seconds: float
    share: float = 1.0
    neighbour: Job | None = None
    rate: bool = field(default=False, kw_only=True)

    @property
    def key(self) -> str:
        name = f"{self.part} {self.llm} share {self.share:g}"
        if self.rate:
            name += f" {kind(self.points[0])}"
        if self.neighbour:
            name += f" beside {self.neighbour.key}"
        return name

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "neighbour": None}


def kind(point: Point) -> str:
    return "prefill" if point.prefill else "decode"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large everything is; `scale` divides the tokens of a GPU's points."""

    llms: tuple[Shape, Shape]
    shares: tuple[float, ...]
    pair_shares: tuple[tuple[float, float], ...]
    scale: int
    point_seconds: float
    pair_seconds: float


_PAIRS = ((0.3, 0.7), (0.5, 0.5), (0.7, 0.3))
GPU = Sizes((SMALL, LARGE), tuple(n / 10 for n in range(1, 11)), _PAIRS, 1, 0.4, 6.0)
GPU_QUICK = Sizes((SMALL, LARGE), (0.3, 0.5, 0.7, 1.0), _PAIRS, 1, 0.15, 3.0)
CPU = Sizes((TINY, LESS_TINY), (0.5, 1.0), ((0.5, 0.5),), 16, 0.05, 0.5)


def step_points(scale: int) -> tuple[Point, ...]:
    """Prefills with and without a prefix, decodes over batch and context, and mixtures."""
    prefills = [Point(tokens, prefix) for tokens, prefix in product(
        (64, 256, 512, 1024, 2048, 4096, 8192), (0, 4096)
    )]  # fmt: skip
    decodes = [
        Point(decodes=batch, context=context)
        for batch, context in product((1, 4, 16, 32, 64, 128, 256), (256, 1024, 4096, 16384))
        if batch * context <= 2**19
    ]
    mixed = [Point(tokens, 0, batch, 1024) for tokens, batch in product((256, 2048), (8, 64))]
    return tuple(_scaled(point, scale) for point in (*prefills, *decodes, *mixed))


def share_points(scale: int) -> tuple[Point, ...]:
    prefills = [Point(tokens) for tokens in (128, 2048, 8192)]
    decodes = [Point(decodes=batch, context=1024) for batch in (1, 8, 32, 128)]
    return tuple(_scaled(point, scale) for point in (*prefills, *decodes))


def jobs(sizes: Sizes, parts: tuple[Part, ...]) -> Iterator[Job]:
    """All jobs, the most telling first. A pair's point also runs alone: at its share."""
    large = sizes.llms[1].name
    for part in parts:
        if part in ("steps", "vllm"):
            for llm in sizes.llms:
                yield Job(part, llm.name, step_points(sizes.scale), sizes.point_seconds)
        elif part == "shares":
            for share in sizes.shares:
                points = share_points(sizes.scale)
                yield Job(part, large, points, sizes.point_seconds, share)
        else:
            yield from _pairs(sizes, large)


def _pairs(sizes: Sizes, llm: str) -> Iterator[Job]:
    points = [Point(prefill=2048), Point(decodes=16, context=2048)]
    prefill, decode = (_scaled(point, sizes.scale) for point in points)

    def one(point: Point, share: float, neighbour: Job | None = None) -> Job:
        return Job("pairs", llm, (point,), sizes.pair_seconds, share, neighbour, rate=True)

    for share in sorted({share for pair in sizes.pair_shares for share in pair}):
        yield one(prefill, share)
        yield one(decode, share)
    for left, right in sizes.pair_shares:
        yield one(prefill, left, one(decode, right))
        if left <= right:
            yield one(decode, left, one(decode, right))


def _scaled(point: Point, scale: int) -> Point:
    return Point(
        -(-point.prefill // scale),
        point.prefix // scale,
        -(-point.decodes // scale),
        point.context // scale,
    )
