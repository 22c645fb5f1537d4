"""The role of an operation, by the words of its name: an LLM call of some endpoint, or another.

Every vendor has its own names (`chat`, `chat.completions`, `InvokeModel`, `ai.embed.doEmbed`,
`CHAT_MODEL`, ...), and new ones come with each release. So names are read by their words, not
looked up in a list of names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from scepsy.core.trace import Endpoint

OTHER_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("tool call", ("tool", "tools", "toolcall", "function", "functions", "mcp")),
    ("agent", ("agent", "agents", "crew", "handoff", "assistant", "team")),
    ("workflow", ("workflow", "chain", "graph", "node", "pipeline", "session", "task")),
    ("retrieval", ("retrieve", "retriever", "retrieval", "search", "vectorstore")),
    ("memory", ("memory", "memories", "cache")),
    ("guardrail", ("guardrail", "guardrails", "moderation", "moderations", "amoderation")),
    ("evaluation", ("evaluate", "evaluator", "evaluation", "eval")),
    ("planning", ("plan", "planner", "planning")),
    ("parser or prompt", ("parser", "template", "tokenize", "tokens")),
    ("image, speech or video", (
        "image", "images", "aimage", "speech", "aspeech", "audio", "transcription",
        "transcriptions", "atranscription", "transcribe", "video", "avideo", "tts",
    )),
    ("administration", (
        "file", "files", "afile", "batch", "batches", "upload", "list", "delete", "auth",
        "authentication", "router", "redis", "postgres", "health",
    )),
)  # fmt: skip
"""Words of operations that are no LLM calls, even if they have token counts (of calls inside)."""

_RERANK = ("rerank", "reranker", "reranking", "reranks", "arerank")
_SCORE = ("score", "scoring", "classify", "classification")
_GENERATE = frozenset((
    "chat", "achat", "completion", "completions", "acompletion", "generate", "agenerate",
    "generation", "generations", "responses", "aresponses", "response", "message", "messages",
    "converse", "inference", "llm", "litellm", "predict", "complete",
    "chatcompletion", "chatcompletions", "chatmodel", "textcompletion",
))  # fmt: skip
"""Words of operations that generate text."""
_SURE = frozenset((
    "chat", "completion", "completions", "acompletion", "llm", "litellm", "embedding",
    "embeddings", "embed", "rerank", "chatcompletion", "chatcompletions",
))  # fmt: skip
"""Words that a span's name has by itself only where it is an LLM call."""
_PAIRS = (("invoke", "model"), ("call", "model"), ("ai", "request"), ("ai", "stream"))
_COMPLETIONS = (
    ("text", "completion"),
    ("text", "completions"),
    ("atext", "completion"),
    ("textcompletion",),
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT"))


@dataclass(frozen=True, slots=True)
class Role:
    """What an operation does.

    Attributes:
        endpoint: of an LLM call; None for an operation of another kind.
        kind: that other kind in words, for messages.
    """

    endpoint: Endpoint | None
    kind: str = "LLM call"


def role(name: str | None) -> Role | None:
    """The role of an operation by the words of its name; None where they are not known."""
    if not name or name.split(" ", 1)[0] in _METHODS:
        return None  # the name of an HTTP request says where it went, not what was done there
    words = tuple(word.lower() for word in _WORD.findall(name))
    for kind, signs in OTHER_KINDS:
        if any(word in signs for word in words):
            return Role(None, kind)
    endpoint = _endpoint(words)
    return None if endpoint is None else Role(endpoint)


def names_an_operation(name: str) -> bool:
    """Whether a span's name begins or ends as instrumentations name LLM calls: `chat qwen3-8b`,
    `openai.chat`, `litellm_request`.
    """
    first, *_ = name.split(" ", 1)
    words = [word.lower() for word in _WORD.findall(first)]
    return first not in _METHODS and bool(words) and (words[0] in _SURE or words[-1] in _SURE)


def _endpoint(words: tuple[str, ...]) -> Endpoint | None:
    found: Endpoint | None = None
    if any(word.startswith(("embed", "aembed")) for word in words):
        found = "embeddings"
    elif any(word in _RERANK for word in words):
        found = "rerank"
    elif any(word in _SCORE for word in words):
        found = "score"
    elif words in (("completion",), ("completions",)) or any(
        all(word in words for word in pair) for pair in _COMPLETIONS
    ):
        found = "completions"
    elif words in (("responses",), ("aresponses",)):
        found = "responses"
    elif _GENERATE.intersection(words) or any(set(pair) <= set(words) for pair in _PAIRS):
        found = "chat"
    return found


TransportKind = Literal["database", "messaging", "HTTP or RPC"]
_TRANSPORTS: tuple[tuple[TransportKind, tuple[str, ...]], ...] = (
    ("database", ("db.",)),
    ("messaging", ("messaging.",)),
    ("HTTP or RPC", ("http.", "rpc.", "url.", "graphql.")),
)


def transport(names: Iterable[str]) -> TransportKind | None:
    """The kind of transport or storage that a span's attributes are about, by their names."""
    keys = tuple(names)
    for kind, heads in _TRANSPORTS:
        if any(key.startswith(heads) for key in keys):
            return kind
    return None
