"""Makes a request that asks an engine for the same work as a traced call: the endpoint, the lengths
and the shared prefixes are those of the call, and the words are made up (pure).
"""

from __future__ import annotations

import random
from functools import lru_cache

import msgspec

from scepsy.core.trace import BLOCK_CHARS, Call

PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/chat/completions",
    "messages": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "pooling": "/pooling",
    "classify": "/classify",
    "rerank": "/v1/rerank",
    "score": "/v1/score",
}
TOKEN_CHARS = 4
"""Characters per token of the words below, roughly: each word is one token in common vocabularies.
"""
_CHARS_PER_TOKEN_MAX = 32
"""Characters per token that no ordinary text exceeds. A trace whose gateway counted the base64 of
images as text exceeds it; its calls are replayed with as much text as their tokens allow.
"""
_WORDS = """
the of and to in is that for it as was with be by on not he this are or his from at which but
have an had they you were their one all we can her has there been if more when will would who so
no said what up its about into than them only some could time these two may then do first any my
now such like our over man me even most made after also did many before must through back years
where much your way well down should because each just those
""".split()  # noqa: SIM905 - a list of a hundred quoted words reads worse


def request_for(call: Call, *, salt: str, templates: frozenset[str]) -> tuple[str, bytes]:
    """The path and JSON body of a request that asks an engine for the same work as `call` did.

    Generated text is streamed. An answer of unknown length has one token, not the caller's limit:
    `traces.lengths` fills in what is missing before. Prompt blocks that are not in `templates`
    differ from one salt to another.
    """
    text = _prompt(call, salt, templates)
    return PATHS[call.endpoint], msgspec.json.encode({"model": call.llm, **_body(call, text)})


def _body(call: Call, text: str) -> dict[str, object]:
    generation: dict[str, object] = {
        "max_tokens": max(1, call.output_tokens or 1),
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
    }
    match call.endpoint:
        case "chat" | "responses" | "messages":
            return {"messages": [{"role": "user", "content": text}], **generation}
        case "completions":
            return {"prompt": text, **generation}
        case "embeddings" | "pooling" | "classify":
            return {"input": _pieces(text, call.items)}
        case "rerank":
            query, documents = _query_and_documents(text, call.items)
            return {"query": query, "documents": documents}
        case "score":
            query, documents = _query_and_documents(text, call.items)
            return {"text_1": query, "text_2": documents}


def _query_and_documents(text: str, items: int) -> tuple[str, list[str]]:
    """The query was sent once and each document once; a cross-encoder reads the query again with
    each of them.
    """
    query = text[: min(80, max(1, len(text) // (items + 1)))]
    return query, _pieces(text[len(query) :], items)


def _pieces(text: str, items: int) -> list[str]:
    size = max(1, -(-len(text) // max(1, items)))
    return [text[start : start + size] or "a" for start in range(0, size * max(1, items), size)]


def _prompt(call: Call, salt: str, templates: frozenset[str]) -> str:
    keys, length = call.prompt_blocks, call.prompt_chars
    if not keys and call.prompt_tokens is not None:
        # An imported call has the length of its prompt, but not which parts it shares with others.
        length = TOKEN_CHARS * call.prompt_tokens
        whole = f"{call.workflow}/{call.run}/{call.call}"
        keys = tuple(f"{whole}/{start}" for start in range(0, length, BLOCK_CHARS))
    elif call.prompt_tokens and length > _CHARS_PER_TOKEN_MAX * call.prompt_tokens:
        length = TOKEN_CHARS * call.prompt_tokens
        keys = keys[: -(-length // BLOCK_CHARS)]
    blocks = [_block(key if key in templates else f"{key}/{salt}") for key in keys]
    return "".join(blocks)[: max(1, length)] or "a"


@lru_cache(maxsize=65536)
def _block(key: str) -> str:
    """`BLOCK_CHARS` characters of common words, the same for the same key."""
    rng = random.Random(key)
    return " ".join(rng.choices(_WORDS, k=BLOCK_CHARS // 2))[: BLOCK_CHARS - 1] + " "
