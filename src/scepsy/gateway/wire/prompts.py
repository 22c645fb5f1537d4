"""The text of a prompt, for any endpoint, and hashes of it by which shared prefixes are
recognised.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

from scepsy.core.trace import BLOCK_CHARS, Endpoint
from scepsy.gateway.wire.lenient_json import Json, elements, members, text
from scepsy.gateway.wire.parts import content_text

# What engines and vendors call the two sides of a pair that is scored, and what is ranked.
_FIRST_SIDES = ("text_1", "queries", "data_1", "query")
_SECOND_SIDES = ("text_2", "documents", "items", "data_2")
_RANKED = ("documents", "texts", "passages")
_EMBEDDED = ("input", "inputs", "texts", "images")


def prompt_text(endpoint: Endpoint | None, fields: dict[str, Json]) -> str:
    """All that the LLM has to read, in the order in which it reads it.

    Requests whose prompts have a common beginning have texts with a common beginning. Token ids are
    written as numbers.
    """
    return "".join(_parts(endpoint, fields))


def prompt_items(endpoint: Endpoint | None, fields: dict[str, Json]) -> int:
    """Number of inputs of an embedding or documents of a rerank or score; otherwise 1."""
    match endpoint:
        case "embeddings" | "pooling" | "classify":
            return 1 if "messages" in fields else len(_texts(_first(fields, _EMBEDDED)))
        case "rerank":
            return max(1, len(elements(_first(fields, _RANKED))))
        case "score":
            return max(len(_texts(side)) for side in _score_sides(fields))
        case _:
            return 1


def prompt_blocks(prompt: str) -> tuple[str, ...]:
    """A hash for each `BLOCK_CHARS` characters; the last block is the rest.

    Chained: each hash covers its block and all blocks before it.
    """
    hashes: list[str] = []
    before = b""
    for start in range(0, len(prompt), BLOCK_CHARS):
        block = _encode(prompt[start : start + BLOCK_CHARS])
        before = blake2b(before + block, digest_size=6).digest()
        hashes.append(before.hex())
    return tuple(hashes)


def digest(content: str | bytes) -> str:
    """A hash of a prompt or of an answer."""
    raw = content if isinstance(content, bytes) else _encode(content)
    return blake2b(raw, digest_size=16).hexdigest()


def _parts(endpoint: Endpoint | None, fields: dict[str, Json]) -> Iterator[str]:
    match endpoint:
        case "chat" | "responses" | "messages":
            yield from _conversation(endpoint, fields)
        case "completions":
            yield from _texts(fields.get("prompt"))
        case "embeddings" | "pooling" | "classify":
            yield from map(_message, map(members, elements(fields.get("messages"))))
            yield from _texts(_first(fields, _EMBEDDED))
        case "rerank":
            yield content_text(fields.get("query"))
            yield from map(content_text, elements(_first(fields, _RANKED)))
        case "score":
            for side in _score_sides(fields):
                yield from _texts(side)
        case None:
            return


def _conversation(endpoint: Endpoint, fields: dict[str, Json]) -> Iterator[str]:
    # Tools go first: that is where chat templates put them.
    if fields.get("tools"):
        yield f"tools: {content_text(fields['tools'])}\n"
    if fields.get("instructions"):
        yield f"system: {content_text(fields['instructions'])}\n"
    if fields.get("system"):  # Anthropic
        yield f"system: {content_text(fields['system'])}\n"
    said = fields.get("input" if endpoint == "responses" else "messages")
    for message in elements(said) or [{"role": "user", "content": said}]:
        yield _message(members(message))


def _message(message: dict[str, Json]) -> str:
    """The text of a message without the fields that the LLM never sees."""
    role = text(message.get("role")) or text(message.get("type")) or ""
    seen = ("content", "tool_calls", "name", "arguments", "output")
    contents = [content_text(message[key]) for key in seen if message.get(key)]
    if not contents and role.startswith("input_"):  # a part that stands alone: an image, a file
        contents = [content_text(message)]
    return f"{role}: " + "\n".join(contents) + "\n"


def _texts(value: Json) -> list[str]:
    """One text or many; a list of numbers is one text of token ids."""
    if isinstance(value, list) and value and not isinstance(value[0], int | float):
        return [_tokens(one) if _is_tokens(one) else content_text(one) for one in value]
    return [_tokens(value) if isinstance(value, list) else content_text(value)]


def _is_tokens(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(one, int | float) for one in value[:1])


def _tokens(ids: Json) -> str:
    return "".join(f"{number} " for number in elements(ids))


def _score_sides(fields: dict[str, Json]) -> tuple[Json, Json]:
    return _first(fields, _FIRST_SIDES), _first(fields, _SECOND_SIDES)


def _first(fields: dict[str, Json], names: tuple[str, ...]) -> Json:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _encode(content: str) -> bytes:
    return content.encode("utf-8", "surrogatepass")
