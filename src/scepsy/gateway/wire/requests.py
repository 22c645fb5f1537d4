"""Reads requests of the OpenAI API: what is asked of which LLM, and the text of the prompt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from scepsy.core.trace import BLOCK_CHARS, Endpoint
from scepsy.gateway.wire.errors import ErrorAnswer, malformed
from scepsy.gateway.wire.lenient_json import Json, elements, members, parse, text

ENDPOINTS: dict[str, Endpoint] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/responses": "responses",
    "/v1/embeddings": "embeddings",
    "/v1/rerank": "rerank",
    "/rerank": "rerank",
    "/v1/score": "score",
    "/score": "score",
}
_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request. `fields` is its whole body."""

    endpoint: Endpoint
    llm: str
    stream: bool
    fields: dict[str, Json]

    @property
    def max_tokens(self) -> int | None:
        """The caller's limit on output tokens; None without one, or where it is no integer."""
        limits = (self.fields.get(name) for name in _LIMITS)
        return next((limit for limit in limits if type(limit) is int), None)

    @property
    def items(self) -> int:
        """Inputs of an embedding, documents of a rerank or score, else 1."""
        match self.endpoint:
            case "embeddings":
                return len(_texts(self.fields.get("input")))
            case "rerank":
                return max(1, len(elements(self.fields.get("documents"))))
            case "score":
                return max(len(_texts(side)) for side in _score_sides(self.fields))
            case _:
                return 1


def read_request(endpoint: Endpoint, body: bytes) -> ApiRequest | ErrorAnswer:
    """Reads as much as the gateway needs; the rest is between the caller and the engine."""
    try:
        fields = parse(body)
    except ValueError as error:
        return malformed(f"the body is not valid JSON: {error}")
    if not isinstance(fields, dict):
        return malformed("the body must be a JSON object")
    llm = text(fields.get("model"))
    if llm is None:
        return malformed("`model` must be a string that names a model", "model")
    return ApiRequest(endpoint, llm, fields.get("stream") is True, fields)


def prompt_text(endpoint: Endpoint, fields: dict[str, Json]) -> str:
    """All that the LLM has to read, in the order in which it reads it.

    Requests whose prompts begin alike have texts that begin alike. Token ids stand as numbers.
    """
    return "".join(_parts(endpoint, fields))


def prompt_blocks(prompt: str) -> tuple[str, ...]:
    """A hash for each `BLOCK_CHARS` characters, the last block being what is left.

    Chained: a hash stands for its block and all before it.
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


def echoed_ids(fields: dict[str, Json]) -> Iterator[str]:
    """Ids in a request that a server issued in an earlier answer of the same run."""
    previous = text(fields.get("previous_response_id"))
    if previous:
        yield previous
    for message in (*elements(fields.get("messages")), *elements(fields.get("input"))):
        entry = members(message)
        for named in (entry, *map(members, elements(entry.get("tool_calls")))):
            key = "id" if named is not entry else "tool_call_id"
            issued = text(named.get(key)) or text(named.get("call_id"))
            if issued:
                yield issued


def _parts(endpoint: Endpoint, fields: dict[str, Json]) -> Iterator[str]:
    match endpoint:
        case "chat" | "responses":
            # Tools go first: that is where chat templates put them.
            if fields.get("tools"):
                yield f"tools: {_content(fields['tools'])}\n"
            if fields.get("instructions"):
                yield f"system: {_content(fields['instructions'])}\n"
            said = fields.get("messages" if endpoint == "chat" else "input")
            for message in elements(said) or [{"role": "user", "content": said}]:
                yield _message(members(message))
        case "completions":
            yield from _texts(fields.get("prompt"))
        case "embeddings":
            yield from _texts(fields.get("input"))
        case "rerank":
            yield _content(fields.get("query"))
            yield from map(_content, elements(fields.get("documents")))
        case "score":
            for side in _score_sides(fields):
                yield from _texts(side)


def _message(message: dict[str, Json]) -> str:
    """Everything but the fields that the LLM never sees."""
    role = text(message.get("role")) or text(message.get("type")) or ""
    seen = ("content", "tool_calls", "name", "arguments", "output")
    return (
        f"{role}: " + "\n".join(_content(message[key]) for key in seen if message.get(key)) + "\n"
    )


def _content(value: Json) -> str:
    """Text as it is, parts of a message one after another, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        return "".join(_content(part) for part in value)
    plain = text(members(value).get("text"))
    if plain is not None:
        return plain
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return repr(value)


def _texts(value: Json) -> list[str]:
    """One text or many; a list of numbers is one text of token ids."""
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return [_tokens(one) if isinstance(one, list) else _content(one) for one in value]
    return [_tokens(value) if isinstance(value, list) else _content(value)]


def _tokens(ids: list[Json]) -> str:
    return "".join(f"{number} " for number in ids)


def _score_sides(fields: dict[str, Json]) -> tuple[Json, Json]:
    """Both of vLLM's spellings."""
    first = fields.get("text_1", fields.get("queries"))
    return first, fields.get("text_2", fields.get("documents", fields.get("items")))


def _encode(content: str) -> bytes:
    return content.encode("utf-8", "surrogatepass")
