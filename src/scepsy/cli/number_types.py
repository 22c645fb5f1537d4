"""Numbers with a unit, as options take them."""

from __future__ import annotations

import click


class Percentage(click.ParamType[float]):
    """A part of something: "1%", or 0.01. From 0 to 100%."""

    name = "percentage"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        text = str(value)
        try:
            part = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            part = -1.0
        if not 0 <= part < 1:
            hint = f"; did you mean {text}%?" if text.replace(".", "").isdigit() else ""
            self.fail(f"{text!r} is no part of a latency: write 1% or 0.01{hint}", param, ctx)
        return part
