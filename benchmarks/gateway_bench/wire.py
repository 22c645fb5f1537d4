"""The requests and answers of the benchmark: one small chat, whole or as a stream of 32 chunks."""

from __future__ import annotations

import json

CHUNKS = 32
CHAT = "/v1/chat/completions"
LLM = "m"

_PROMPT = (
    "Answer in one sentence. Which of the following three documents answers the question, and "
    "which sentence of it does so? Quote the sentence word for word, then name the document. "
)


def request_body(number: int, *, stream: bool) -> bytes:
    """A chat of 600 bytes; no two are equal."""
    fields = {
        "model": LLM,
        "messages": [
            {"role": "system", "content": "You are a careful assistant. " + _PROMPT},
            {"role": "user", "content": f"Question {number}: {_PROMPT}"},
        ],
        "max_tokens": CHUNKS,
        "temperature": 0,
        "stream": stream,
    }
    return json.dumps(fields).encode()


def request(number: int, *, host: str, stream: bool) -> bytes:
    """A whole HTTP request, labelled with its run."""
    body = request_body(number, stream=stream)
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        "Accept: application/json\r\nUser-Agent: bench/1\r\nAuthorization: Bearer sk-bench\r\n"
        f"x-scepsy-run: run-{number // 8}\r\nx-scepsy-workflow: bench\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def answer() -> bytes:
    """A whole HTTP answer that is not streamed."""
    fields = {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion",
        "created": 1764500000,
        "model": LLM,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "The second document does. " * 6},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": _usage(),
    }
    body = json.dumps(fields).encode()
    head = (
        "HTTP/1.1 200 OK\r\nserver: uvicorn\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nserver: uvicorn\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
STREAM_END = b"0\r\n\r\n"


def stream_chunks() -> list[bytes]:
    """HTTP chunks of a stream: `CHUNKS` tokens, usage, and [DONE]. The last three come together."""
    events = [
        _delta({"role": "assistant", "content": ""} if at == 0 else None, at)
        for at in range(CHUNKS)
    ]
    last = events.pop() + _event({"choices": [], "usage": _usage()}) + b"data: [DONE]\n\n"
    return [_http_chunk(one) for one in (*events, last)]


def _delta(first: dict[str, str] | None, number: int) -> bytes:
    delta = first or {"content": f" word{number}"}
    finish = "stop" if number == CHUNKS - 1 else None
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _event({"choices": [choice]})


def _event(fields: dict[str, object]) -> bytes:
    common = {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion.chunk",
        "created": 1764500000,
        "model": LLM,
    }
    return b"data: " + json.dumps({**common, **fields}).encode() + b"\n\n"


def _http_chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def _usage() -> dict[str, int]:
    return {"prompt_tokens": 120, "completion_tokens": CHUNKS, "total_tokens": 120 + CHUNKS}
