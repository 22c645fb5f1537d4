"""Profiles on one self-contained page: a chart per LLM and workflow, estimates dashed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scepsy.core.profile import Profile
from scepsy.report.charts.chart import Chart
from scepsy.report.charts.palette import colours
from scepsy.report.charts.profile_curves import charts
from scepsy.report.html import environment


@dataclass(frozen=True, slots=True)
class ProfilesPage:
    """What the template fills in."""

    headline: str
    charts: tuple[Chart, ...]
    facts: tuple[str, ...] = (
        "mean latency of a call against rate, per replica",
        "dashed: estimated",
    )
    banner: str = ""
    notes: tuple[str, ...] = ()


def render(profiles: Sequence[tuple[str, Profile]]) -> str:
    """The page, as text. Raises NotFound where jinja2 is not installed (the extra `report`)."""
    every = tuple(curve for _, profile in profiles for curve in profile.curves)
    drawn = charts(Profile(curves=every), None, colours(curve.llm for curve in every))
    page = ProfilesPage(", ".join(name for name, _ in profiles), tuple(drawn))
    return environment().get_template("profiles.html").render(page=page)
