"""Profiles on one self-contained page: a chart per LLM and workflow, estimates dashed."""

from __future__ import annotations

from collections.abc import Sequence

from scepsy.core.profile import Profile
from scepsy.report.html import environment
from scepsy.report.palette import colours
from scepsy.report.profilecurves import charts


def render(profiles: Sequence[tuple[str, Profile]]) -> str:
    """The page, as text. Raises NotFound where jinja2 is not installed (the extra `report`)."""
    every = tuple(curve for _, profile in profiles for curve in profile.curves)
    drawn = charts(Profile(curves=every), None, colours(curve.llm for curve in every))
    names = ", ".join(name for name, _ in profiles)
    return environment().get_template("profiles.html").render(charts=drawn, names=names)
