"""Step times in a table, and interpolation between its rows (pure)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from scepsy.errors import BadInput
from scepsy.hardware.step_time import StepLoad

COLUMNS = ("prefill_tokens", "prefill_context", "decodes", "decode_context", "seconds")
"""Columns of a table of measured steps: prompt tokens in the step; the tokens to which each of them
attends, on average (half of the prompt's length if nothing was cached); sequences that decode; the
tokens of KV cache that each of them reads, on average; seconds.
"""

Key = tuple[float, float, float, float]
Axis = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Seconds on a grid over (prefill tokens, prefill context, decodes, decode context); the last
    varies fastest. `axes` are in rising order. `least`: the shortest step.
    """

    axes: tuple[Axis, Axis, Axis, Axis]
    seconds: tuple[float, ...]
    least: float

    def at(self, load: StepLoad) -> float:
        """Multilinear interpolation. Beyond the end of an axis it continues the last interval, but
        no step is shorter than the shortest one of the table.
        """
        prefill, attended, decodes, kv = load
        point = (
            float(prefill),
            attended / prefill if prefill else 0.0,
            float(decodes),
            kv / decodes if decodes else 0.0,
        )
        corners = [(0, 1.0)]
        for axis, value in zip(self.axes, point, strict=True):
            low, part = _between(axis, value)
            corners = [
                (base * len(axis) + index, weight * share)
                for base, weight in corners
                for index, share in ((low, 1.0 - part), (low + 1, part))
                if share
            ]
        seconds = self.seconds
        return max(self.least, sum(weight * seconds[index] for index, weight in corners))

    @property
    def per_kv_token(self) -> float:
        """Seconds for each further token of KV that decoding sequences read: the mean slope along
        the grid, weighted with the tokens.
        """
        _, _, decodes, contexts = self.axes
        rise = tokens = 0.0
        for row in (i for i, count in enumerate(decodes) if count):
            first = row * len(contexts)
            rise += self.seconds[first + len(contexts) - 1] - self.seconds[first]
            tokens += decodes[row] * (contexts[-1] - contexts[0])
        return max(0.0, rise / tokens) if tokens else 0.0


def table_of(rows: Iterable[Mapping[str, float]]) -> Table:
    """The table of measured steps, with the columns `COLUMNS`.

    Steps that only decode must cover every combination of their sizes; so must steps that only
    prefill. A missing mixed step is the sum of the prefill and the decoding step minus the shortest
    decode step, because the weights are read only once.

    Raises:
        BadInput: a combination is missing, there is no row, or a row makes no sense.
    """
    known: dict[Key, float] = {}
    for row in rows:
        prefill, context, decodes, kv, seconds = (row[name] for name in COLUMNS)
        if not seconds > 0 or min(prefill, context, decodes, kv) < 0 or prefill + decodes <= 0:
            raise BadInput(
                f"table of steps: {dict(row)}: seconds must be positive, sizes at least 0"
            )
        known[prefill, context if prefill else 0.0, decodes, kv if decodes else 0.0] = seconds
    prefills, contexts, decodes, kvs = (_sizes(known, place) for place in range(4))
    if not known:
        raise BadInput("table of steps: it has no rows")
    axes = ((0.0, *prefills), contexts or (0.0,), (0.0, *decodes), kvs or (0.0,))
    seconds = tuple(_seconds(known, key) for key in product(*axes))
    return Table(axes, seconds, min(known.values()))


def _sizes(known: Iterable[Key], place: int) -> Axis:
    """The sizes other than 0 along one axis; contexts count where there are tokens."""
    return tuple(sorted({key[place] for key in known if key[place - place % 2]} - {0.0}))


def _seconds(known: Mapping[Key, float], key: Key) -> float:
    prefill, context, decodes, kv = key
    if not prefill and not decodes:
        return 0.0
    if not prefill:
        return _there(known, (0.0, 0.0, decodes, kv))
    if not decodes:
        return _there(known, (prefill, context, 0.0, 0.0))
    if key in known:
        return known[key]
    alone = _there(known, (prefill, context, 0.0, 0.0))
    both = alone + _there(known, (0.0, 0.0, decodes, kv))
    return both - min(alone, *(seconds for size, seconds in known.items() if not size[0]))


def _there(known: Mapping[Key, float], key: Key) -> float:
    try:
        return known[key]
    except KeyError:
        sizes = ", ".join(f"{name} {value:g}" for name, value in zip(COLUMNS, key, strict=False))
        raise BadInput(f"table of steps: there is no row for {sizes}") from None


def _between(axis: Axis, value: float) -> tuple[int, float]:
    """The interval of the axis in which a value lies, and its position in it: above 1 beyond the
    end, but never below 0.
    """
    if len(axis) == 1:
        return 0, 0.0
    low = min(max(bisect_right(axis, value) - 1, 0), len(axis) - 2)
    return low, max(0.0, (value - axis[low]) / (axis[low + 1] - axis[low]))
