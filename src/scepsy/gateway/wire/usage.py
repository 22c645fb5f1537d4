"""Token counts that an answer reports, in the dialects of engines and vendors."""

from __future__ import annotations

from dataclasses import dataclass

from scepsy.gateway.wire.lenient_json import Json, count, members

_PROMPT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")
_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_CACHED = ("cached_tokens", "prompt_cache_hit_tokens")


@dataclass(slots=True)
class TokenCounts:
    """None while, or if, the engine does not tell."""

    prompt: int | None = None
    cached: int | None = None
    output: int | None = None

    def read(self, usage: Json) -> None:
        """Takes over the counts that `usage` has; what it lacks stays as it was.

        A prompt of zero tokens does not exist: engines that do not count report it so.
        """
        said = members(usage)
        if not said:
            return
        output = _first(said, _OUTPUT)
        prompt = _first(said, _PROMPT)
        total = count(said.get("total_tokens"))
        if prompt is None and total is not None:
            prompt = max(0, total - (output or 0))
        cached = _cached(said)
        if prompt:
            self.prompt = prompt
        if output is not None:
            self.output = output
        if cached is not None:
            self.cached = cached


def _cached(said: dict[str, Json]) -> int | None:
    """Where the counts themselves say it, or where their details do."""
    found = _first(said, _CACHED)
    for name in _DETAILS:
        if found is None:
            found = count(members(said.get(name)).get("cached_tokens"))
    return found


def _first(said: dict[str, Json], names: tuple[str, ...]) -> int | None:
    for name in names:
        found = count(said.get(name))
        if found is not None:
            return found
    return None
