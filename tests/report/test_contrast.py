"""Text and data have a contrast of 4.5:1 (WCAG 2.2, 1.4.3) or more, in light and dark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import scepsy.report
from scepsy.report.charts.palette import HUES, colours

STYLE = (Path(scepsy.report.__file__).parent / "templates" / "style.css").read_text("utf-8")
DARK = re.search(r"@media \(prefers-color-scheme: dark\) \{(.*?\n)\}", STYLE, re.DOTALL)
ENOUGH = 4.5


def declared(css: str) -> dict[str, str]:
    """Custom properties of `:root` by name, and each LLM's colour as "llm-0"."""
    root = re.search(r":root \{(.*?)\}", css, re.DOTALL)
    assert root is not None
    found = dict(re.findall(r"--(\w+): (#\w+)", root[1]))
    return found | dict(re.findall(r"\.(llm-\d) \{ --llm: (#\w+)", css))


def modes() -> dict[str, dict[str, str]]:
    assert DARK is not None
    light = declared(STYLE.replace(DARK[0], ""))
    return {"light": light, "dark": light | declared(DARK[1])}


def rgb(colour: str) -> tuple[float, float, float]:
    digits = colour[1:]
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    red, green, blue = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return red, green, blue


def luminance(colour: tuple[float, float, float]) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def mixed(colour: str, behind: str, part: float) -> tuple[float, float, float]:
    """`colour` at an opacity of `part` over `behind`."""
    pairs = zip(rgb(colour), rgb(behind), strict=True)
    red, green, blue = (part * c + (1 - part) * b for c, b in pairs)
    return red, green, blue


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_and_lines_stand_out_from_the_page(mode: str) -> None:
    known = modes()[mode]
    for name in ("ink", "soft", "plan", "even", "good", "bad"):
        for behind in ("page", "card"):
            assert contrast(rgb(known[name]), rgb(known[behind])) >= ENOUGH, (name, behind)
    assert contrast(rgb(known["ink"]), rgb(known["notice"])) >= ENOUGH
    assert contrast(rgb(known["soft"]), rgb(known["empty"])) >= ENOUGH


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_llm_stands_out_and_so_does_the_text_on_it(mode: str) -> None:
    known = modes()[mode]
    names = [f"llm-{hue}" for hue in range(HUES)]
    assert [name for name in sorted(known) if name.startswith("llm-")] == names
    again = re.search(r"\.again \{ --llm-opacity: ([\d.]+)", STYLE)
    assert again is not None
    for name in names:
        assert contrast(rgb(known[name]), rgb(known["card"])) >= ENOUGH, name
        assert contrast(rgb(known["on"]), rgb(known[name])) >= ENOUGH, name
        outlined = mixed(known[name], known["card"], float(again[1]))
        assert contrast(rgb(known["ink"]), outlined) >= ENOUGH, f"{name} again"


def test_the_colour_of_an_llm_does_not_depend_on_the_order_of_a_page() -> None:
    assert colours(["b", "a", "c"]) == colours(["c", "b", "a", "a"])
    assert len(set(colours(map(str, range(2 * HUES))).values())) == 2 * HUES
