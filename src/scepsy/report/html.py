"""Renders a report as one HTML page that needs nothing but itself."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from scepsy.errors import NotFound
from scepsy.report import wording
from scepsy.report.data import Report
from scepsy.report.page import page

if TYPE_CHECKING:
    from jinja2 import Environment


def render(report: Report) -> str:
    """The page, as text; every name in it is escaped.

    Raises:
        NotFound: jinja2 is not installed (the extra `report`).
    """
    template = environment().get_template("page.html")
    return template.render(page=page(report, version("scepsy")), words=wording)


def environment() -> Environment:
    """The templates. Raises NotFound where jinja2 is not installed."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as missing:
        raise NotFound(
            "the HTML report needs jinja2, which is not installed: pip install 'scepsy[report]'"
        ) from missing
    return Environment(
        loader=PackageLoader("scepsy.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
