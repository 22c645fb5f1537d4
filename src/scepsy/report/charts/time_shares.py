"""Time shares: how a run's LLM time is divided, and how much that varies from run to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scepsy.core.demand import Demand, LlmDemand
from scepsy.report import wording

BAR_WIDTH = 1000.0
"""Pixels of a bar on a wide screen. Narrower screens cut the labels; the legend has them, too."""
CHARACTER_WIDTH = 7.8
"""Pixels of a character of a label, on average, in the widest of the usual fonts."""
PADDING = 18.0
"""Pixels beside a label."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One LLM's part of the bar. `width` is in percent of it."""

    llm: str
    css: str
    width: float
    label: str
    mean: str
    spread: str


@dataclass(frozen=True, slots=True)
class ShareBar:
    """One workflow."""

    workflow: str
    runs: str
    segments: tuple[Segment, ...]


def bars(demands: Sequence[Demand], colours: Mapping[str, str]) -> tuple[ShareBar, ...]:
    """One stacked bar per workflow, largest share first."""
    return tuple(
        ShareBar(
            demand.workflow,
            wording.count(demand.runs, "traced run"),
            tuple(
                _segment(llm, colours)
                for llm in sorted(demand.llms, key=lambda llm: -llm.time_share.mean)
            ),
        )
        for demand in demands
    )


def _segment(llm: LlmDemand, colours: Mapping[str, str]) -> Segment:
    share = llm.time_share
    label = f"{llm.llm} {wording.percent(share.mean)}"
    return Segment(
        llm=llm.llm,
        css=colours.get(llm.llm, ""),
        width=round(share.mean * 100, 3),
        label=label if len(label) * CHARACTER_WIDTH + PADDING <= share.mean * BAR_WIDTH else "",
        mean=wording.percent(share.mean),
        spread=wording.span(wording.percent(share.p10), wording.percent(share.p90)),
    )
