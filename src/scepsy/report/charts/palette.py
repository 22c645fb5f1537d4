"""One colour per LLM, the same on every page.

The seven colours in `style.css` stand apart from one another for people with any common
colour-blindness, and each has a contrast of 4.5:1 or more against the page, in light and dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

HUES = 7
"""Beyond these the hues come again, as outlines; names are always written beside them."""


def colours(llms: Iterable[str]) -> Mapping[str, str]:
    """CSS classes by LLM. They follow the order of the names, so that the pages of a plan, of its
    profile and of its simulation agree.
    """
    return {llm: _css(index) for index, llm in enumerate(sorted(set(llms)))}


def _css(index: int) -> str:
    hue = f"llm-{index % HUES}"
    return f"{hue} again" if index // HUES % 2 else hue
