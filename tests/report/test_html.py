"""The page holds everything, needs nothing, and survives what names and numbers may be."""

from __future__ import annotations

import math
import re
import sys
from html.parser import HTMLParser

import msgspec
import pytest
from synthetic_report import report

from scepsy.errors import NotFound
from scepsy.report.data import CurvePoint, Measurement, Report
from scepsy.report.html import render

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Checks that every element is closed in order; keeps attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def known() -> Report:
    return report()


def test_the_page_is_well_formed_and_says_the_result(known: Report) -> None:
    page = Page(render(known))
    assert "Target sustained on 8 GPUs by 2 of 2 workflows" in page.text
    for flow in known.summary.workflows:
        assert flow.workflow in page.text
    for words in ("throughput (runs/s)", "latency of a run", "No GPU was used", "Seed 0"):
        assert words in page.text
    for sentence in (*known.plan.explanation.summary, *known.plan.explanation.skipped):
        assert sentence in page.text
    assert known.plan.explanation.runners_up[0].note in page.text


def test_every_llm_and_replica_is_on_the_map(known: Report) -> None:
    page = Page(render(known))
    drawn = {attributes.get("data-replica") for _, attributes in page.attributes}
    for plan in (known.plan, known.even_split):
        assert {replica.replica for replica in plan.placement.replicas} <= drawn
        for llm in plan.llms:
            assert llm.name in page.text


def test_widths_are_proportional_to_shares(known: Report) -> None:
    maps = re.findall(r'<svg class="map".*?</svg>', render(known), re.DOTALL)
    assert len(maps) == 2
    for text in maps:
        slices = [a for _, a in Page(text).attributes if "data-share" in a]
        ratios = [float(a["width"]) / float(a["data-share"]) for a in slices]
        assert max(ratios) == pytest.approx(min(ratios), rel=0.01)


def test_nothing_is_fetched(known: Report) -> None:
    text = render(known)
    for _, attributes in Page(text).attributes:
        for name in ("src", "href", "xlink:href", "action", "data"):
            assert not attributes.get(name, "#").lower().startswith(("http:", "https:", "//"))
    assert not re.search(r"@import|<link|<script|<iframe|url\((?!#)", text)


def test_names_are_escaped(known: Report) -> None:
    evil = '<script>alert("x")</script>'
    text = render(_renamed(known, {"generator": evil, "beam-search": "a & <b>"}))
    page = Page(text)
    assert "<script" not in text
    assert evil in page.text
    assert "a & <b>" in page.text
    assert f"{evil}-0" in {attributes.get("data-replica") for _, attributes in page.attributes}


def test_saturated_predictions_and_empty_measurements_do_not_break_charts(known: Report) -> None:
    nothing = Measurement(
        offered_rate=1.0,
        throughput=0.0,
        latency_mean=math.nan,
        latency_p50=math.nan,
        latency_p99=None,
        latency_max=math.nan,
        completed=0,
        failed=60,
    )
    replace = msgspec.structs.replace
    saturated = tuple(CurvePoint(rate=rate, latency=math.inf) for rate in (0.5, 1.0))
    curves = (
        replace(known.curves[0], predicted=saturated, even_predicted=(), even_measured=(nothing,)),
        replace(known.curves[1], measured=(), even_measured=()),
    )
    flows = tuple(
        replace(flow, measured=nothing, even_split=nothing, latency_error=math.nan)
        for flow in known.summary.workflows
    )
    broken = replace(known, curves=curves, summary=replace(known.summary, workflows=flows))
    text = render(broken)
    page = Page(text)
    assert "by 0 of 2 workflows" in page.text
    assert "60 failed" in page.text
    assert not re.search(r'="[^"]*\b(inf|nan)\b[^"]*"', text)


def test_a_curve_that_ends_in_saturation_has_a_wall(known: Report) -> None:
    assert any(math.isinf(point.latency) for point in known.curves[0].predicted)
    assert 'class="line wall plan"' in render(known)


def test_more_llms_than_hues_keep_distinct_colours(known: Report) -> None:
    extra = [msgspec.structs.replace(known.plan.llms[0], name=f"llm-{n}") for n in range(9)]
    plan = msgspec.structs.replace(known.plan, llms=(*known.plan.llms, *extra))
    text = render(msgspec.structs.replace(known, plan=plan))
    legend = text.split("Which replica sits on which GPU")[1].split("</p>")[0]
    classes = re.findall(r'<span class="(llm-\d(?: again)?)">', legend)
    assert len(classes) == len(set(classes)) == 13


def test_without_the_extra_the_error_says_what_to_install(
    known: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(NotFound, match=r"pip install 'scepsy\[report\]'"):
        render(known)


def _renamed(value: Report, names: dict[str, str]) -> Report:
    """The report with other names, wherever they stand."""

    def rename(node: object) -> object:
        match node:
            case str():
                for old, new in names.items():
                    node = node.replace(old, new)
                return node
            case dict():
                return {rename(key): rename(item) for key, item in node.items()}
            case list() | tuple():
                return [rename(item) for item in node]
            case _:
                return node

    return msgspec.convert(rename(msgspec.to_builtins(value)), Report)
