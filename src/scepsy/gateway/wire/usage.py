"""Token counts that an answer reports, in the forms that engines and vendors use."""

from __future__ import annotations

from dataclasses import dataclass

from scepsy.gateway.wire.lenient_json import Json, count, members

_PROMPT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")
_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_CACHED = ("cached_tokens", "prompt_cache_hit_tokens")


@dataclass(slots=True)
class TokenCounts:
    """None until the engine reports a count."""

    prompt: int | None = None
    cached: int | None = None
    output: int | None = None

    def read(self, usage: Json) -> None:
        """Takes the counts that `usage` has; counts that it lacks stay unchanged.

        A prompt never has zero tokens: engines that do not count report 0, which is ignored. So are
        counts that cannot be: below zero, above `COUNT_MAX`, or more cached tokens than the prompt
        has.
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
        if prompt is not None and (apart := _counted_apart(said)) is not None:
            prompt, cached = prompt + apart[0], apart[1]
        if prompt:
            self.prompt = prompt
        if output is not None:
            self.output = output
        if cached is not None:
            self.cached = cached
        if self.cached is not None and self.prompt is not None and self.cached > self.prompt:
            self.cached = None


def _counted_apart(said: dict[str, Json]) -> tuple[int, int] | None:
    """In Anthropic's form, tokens of the prompt that `input_tokens` does not contain, and how many
    of them were found in the cache; None in other forms.
    """
    read = count(said.get("cache_read_input_tokens"))
    written = count(said.get("cache_creation_input_tokens"))
    return None if read is None and written is None else ((read or 0) + (written or 0), read or 0)


def _cached(said: dict[str, Json]) -> int | None:
    """The count of cached tokens, from `usage` itself or from its details."""
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
