"""Points in time as foreign files write them, in Unix seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import cast

NANO = 10**9
_UNITS = ((1e17, NANO), (1e14, 10**6), (1e11, 1000))
"""From which size on a number of this century is in nanoseconds, microseconds, milliseconds."""
_EARLIEST, _LATEST = 946684800.0, 4102444800.0
"""2000-01-01: an older date (1970, 0001) is how programs write "no time". 2100-01-01."""
_EXTRA_DIGITS = re.compile(r"(\.\d{6})\d+")
_ZONE_WORD = re.compile(r"\s*(?:UTC|GMT)$")


def instant(value: object) -> float | None:
    """Unix seconds of a date (ISO 8601, UTC where it names no zone), of a number of seconds,
    milliseconds, microseconds or nanoseconds (recognised by its size), or of `[seconds,
    nanoseconds]`. None where it is no time.
    """
    if isinstance(value, list):
        return _pair(cast(list[object], value))
    if isinstance(value, str):
        text = value.strip()
        found = decimal(text)
        return _date(text) if found is None else _sized(found)
    found = decimal(value)
    return None if found is None else _sized(found)


def nanoseconds(value: object) -> float | None:
    """Unix seconds of a number of nanoseconds, written as a number or as text; zero is no time."""
    found = decimal(value)
    if found is None:
        return instant(value) if isinstance(value, str) else None
    return float(found / NANO) if found > 0 else None


def presumed_nanoseconds(value: object) -> float | None:
    """As `nanoseconds`, but a number that is a date of this century in milliseconds or microseconds
    is taken as that: some programs fill a field of nanoseconds so.
    """
    found = decimal(value)
    scales = (1000, 10**6) if found is not None else ()
    scale = next((one for one in scales if _EARLIEST <= (found or 0) / one < _LATEST), None)
    return nanoseconds(value) if found is None or scale is None else float(found / scale)


def decimal(value: object) -> Decimal | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = Decimal(value)
    except (InvalidOperation, ValueError):
        return None
    return found if found.is_finite() and abs(found.adjusted()) < 300 else None


def _sized(number: Decimal) -> float | None:
    scale = next((scale for size, scale in _UNITS if number >= size), 1)
    return float(number / scale) if number > 0 else None


def _pair(value: Sequence[object]) -> float | None:
    parts = [decimal(one) for one in value]
    if len(parts) != 2 or parts[0] is None or parts[1] is None or parts[0] < 0:
        return None
    return float(parts[0] + parts[1] / NANO)


def _date(text: str) -> float | None:
    text = _ZONE_WORD.sub("Z", _EXTRA_DIGITS.sub(r"\1", text))
    try:
        found = datetime.fromisoformat(text)
        seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= _EARLIEST else None
