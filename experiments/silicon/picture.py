"""Predicted against measured latency, both axes logarithmic, as one SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from experiments.silicon.calibrate import Adds, Pair
from experiments.silicon.errors import FEW, IMPLAUSIBLE, Name, family
from experiments.silicon.timers import Source

SIZE, LEFT, TOP, GAP, KEY = 380, 60, 40, 70, 180
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#7f6a00")


def picture(pairs: Mapping[Source, Mapping[Name, Sequence[Pair]]]) -> str:
    """A panel per source of step times, untuned; a colour per LLM."""
    kept = {
        source: {
            name: some
            for name, some in groups.items()
            if name not in IMPLAUSIBLE and len(some) >= FEW
        }
        for source, groups in pairs.items()
    }
    llms = sorted({family(name) for groups in kept.values() for name in groups})
    colour = dict(zip(llms, COLOURS, strict=False))
    width = len(kept) * (SIZE + GAP) + KEY
    parts = [
        f'<g transform="translate({LEFT + place * (SIZE + GAP)},{TOP})">'
        f"{_panel(source, groups, colour)}</g>"
        for place, (source, groups) in enumerate(kept.items())
    ]
    parts += [
        f'<circle cx="{width - KEY + 14}" cy="{TOP + 12 + 18 * row}" r="4" fill="{colour[llm]}"/>'
        f'<text x="{width - KEY + 24}" y="{TOP + 16 + 18 * row}">{llm}</text>'
        for row, llm in enumerate(llms)
    ]
    style = "text{font:11px sans-serif;fill:#333}.t{font-size:13px;font-weight:600}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {SIZE + TOP + 50}">'
        f'<style>{style}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}'
        "</svg>\n"
    )


def _panel(source: Source, groups: Mapping[Name, Sequence[Pair]], colour: Mapping[str, str]) -> str:
    low, high = -0.5, 2.5

    def at(seconds: float) -> float:
        return SIZE * (min(max(math.log10(seconds), low), high) - low) / (high - low)

    def line(factor: float, css: str) -> str:
        first, last = 10**low * max(1.0, 1 / factor), 10**high / max(1.0, factor)
        return (
            f'<path d="M{at(first):.1f},{SIZE - at(first * factor):.1f}'
            f'L{at(last):.1f},{SIZE - at(last * factor):.1f}" {css}/>'
        )

    count = sum(map(len, groups.values()))
    parts = [
        f'<text class="t" x="0" y="-14">steps of the {source}, untuned: {count} points</text>',
        f'<rect width="{SIZE}" height="{SIZE}" fill="none" stroke="#999"/>',
    ]
    for tick in (1, 10, 100):
        place = at(tick)
        parts.append(
            f'<path d="M{place:.1f},0V{SIZE}M0,{SIZE - place:.1f}H{SIZE}" stroke="#ddd"/>'
            f'<text x="{place:.1f}" y="{SIZE + 16}" text-anchor="middle">{tick}</text>'
            f'<text x="-6" y="{SIZE - place + 4:.1f}" text-anchor="end">{tick}</text>'
        )
    parts.append(line(1.0, 'stroke="#333"'))
    parts += [line(factor, 'stroke="#333" stroke-dasharray="4 3"') for factor in (1.15, 1 / 1.15)]
    parts += [
        f'<circle cx="{at(point.whole):.1f}" cy="{SIZE - at(Adds().whole(point, served)):.1f}" '
        f'r="2" fill="{colour[family(name)]}" fill-opacity=".55"/>'
        for name, some in groups.items()
        for point, served in some
    ]
    parts.append(
        f'<text x="{SIZE / 2}" y="{SIZE + 34}" text-anchor="middle">measured, s per call</text>'
        f'<text transform="translate(-34,{SIZE / 2})rotate(-90)" text-anchor="middle">'
        "simulated, s per call</text>"
    )
    return "".join(parts)
