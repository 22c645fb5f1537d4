"""One colour per LLM, the same everywhere on the page.

The seven hues are those of Okabe and Ito, "Color Universal Design" (2008), which people with any
common colour-blindness tell apart, the four that stay furthest apart first; `style.css` holds their
values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

HUES = 7
"""Beyond these the hues come again, paler; names are always written beside them."""


def colours(llms: Iterable[str]) -> Mapping[str, str]:
    """CSS classes by LLM, in the order given."""
    return {llm: _css(index) for index, llm in enumerate(dict.fromkeys(llms))}


def _css(index: int) -> str:
    hue = f"llm-{index % HUES}"
    return f"{hue} again" if index // HUES % 2 else hue
