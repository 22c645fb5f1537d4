"""Waiting for what a cluster does in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable

LIMIT = 120.0
"""Seconds. Most of it is reserve for a machine with two busy cores."""


def eventually(true: Callable[[], object], limit: float = LIMIT) -> None:
    """Waits until `true()` is true. Fails after `limit` seconds."""
    until = time.monotonic() + limit
    while not true():
        assert time.monotonic() < until, f"not so after {limit:g} s: {true}"
        time.sleep(0.1)
