"""Numbers as options of many commands take them. It imports nothing of the planner, so that the
gateway's image needs none of its libraries.
"""

from __future__ import annotations

import math
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """As `click.FloatRange`, without NaN and infinity: nothing lasts that long, and no comparison
    finds NaN out of range.
    """

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number
