"""The options of an engine's command line, for systems that make the command themselves (pure)."""

from __future__ import annotations

import re
from collections.abc import Collection

from scepsy.engines.protocol import Launch

# Python reads more as numbers, such as 1_000 and nan, or the digest 12e4567 of a revision.
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+")

Arguments = dict[str, str | None]
"""Options in their order, with their values; None for a switch."""

SERVER = (
    "--host",
    "--port",
    "--served-model-name",
    "--disable-uvicorn-access-log",
    "--enable-request-id-headers",
    "--enable-prompt-tokens-details",
    "--log-level-http",
)
"""Options of the HTTP server in front of the engine. Systems with a server of their own have none
of them."""


def arguments(launch: Launch) -> Arguments:
    """The options in the command; a later one replaces an earlier one of the same name, as engines
    read them.
    """
    found: Arguments = {}
    name: str | None = None
    for word in launch.argv:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            found.pop(name, None)
            found[name] = value if equals else None
        elif name is not None and found[name] is None:
            found[name] = word
            name = None
    return found


def words(options: Arguments, without: Collection[str] = ()) -> list[str]:
    """As words of a command line."""
    return [
        word
        for name, value in options.items()
        if name not in without
        for word in ([name] if value is None else [name, value])
    ]


def keywords(options: Arguments, without: Collection[str] = ()) -> dict[str, object]:
    """As keyword arguments in Python: "--max-model-len 8192" is `max_model_len=8192`."""
    return {
        name.removeprefix("--").replace("-", "_"): _value(value)
        for name, value in options.items()
        if name not in without
    }


def _value(text: str | None) -> object:
    if text is None:
        return True
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text
