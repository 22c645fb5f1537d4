"""Hashes of the first words of a prompt, which identify a workflow's stages without its content."""

from __future__ import annotations

from hashlib import blake2b

from scepsy.core.trace import OPENING_WORDS
from scepsy.gateway.wire.lenient_json import Json, elements, members, text

_ANSWERS = ("assistant", "tool", "function", "function_call", "function_call_output")


def goes_on(fields: dict[str, Json]) -> bool:
    """Whether a request contains an earlier answer, as in conversations and tool loops."""
    said = (*elements(fields.get("messages")), *elements(fields.get("input")))
    roles_and_types = ((text(one.get("role")), text(one.get("type"))) for one in map(members, said))
    return bool(text(fields.get("previous_response_id"))) or any(
        role in _ANSWERS or kind in _ANSWERS for role, kind in roles_and_types
    )


def openings(prompt: str, continued: bool) -> tuple[str, ...]:
    """A chained hash of the first n words for each n of `OPENING_WORDS`. Prompts that continue a
    conversation have other hashes than prompts that begin one.
    """
    words = prompt.split(maxsplit=OPENING_WORDS[-1])[: OPENING_WORDS[-1]]
    found: list[str] = []
    before, passed = (b"+" if continued else b""), 0
    for count in OPENING_WORDS:
        if count > len(words):
            break
        part = " ".join(words[passed:count]).encode("utf-8", "surrogatepass")
        before = blake2b(before + part, digest_size=6).digest()
        found.append(before.hex())
        passed = count
    return tuple(found)
