"""POST /v1/chat/completions."""

from __future__ import annotations

import time

import msgspec
from aiohttp import web

from scepsy.engines.emulated.author import piece
from scepsy.engines.emulated.refusal import Refusal
from scepsy.engines.emulated.sampling import SamplingBody, sampling_of
from scepsy.engines.emulated.served import Choice, Increment, ServedLlm
from scepsy.engines.emulated.streaming import stream_choices
from scepsy.engines.emulated.text import Prompt, text_prompt
from scepsy.engines.emulated.wire import new_id, read_json, reply


class Part(msgspec.Struct):
    type: str
    text: str | None = None


class Message(msgspec.Struct):
    role: str
    content: str | list[Part] | None = None
    tool_calls: msgspec.Raw = msgspec.Raw(b"")


class ChatBody(SamplingBody, kw_only=True):
    messages: list[Message]
    tools: list[dict[str, object]] | None = None
    tool_choice: str | dict[str, object] | None = None


_decoder = msgspec.json.Decoder(ChatBody)


async def chat(request: web.Request, llm: ServedLlm) -> web.StreamResponse:
    body = read_json(await request.read(), _decoder)
    llm.check_name(body.model)
    llm.check_kind("generate")
    if body.tools and body.tool_choice != "none":
        raise Refusal("tool calls are not emulated; set tool_choice to none", param="tool_choice")
    prompt = chat_prompt(body.messages)
    choices = llm.choices([prompt], sampling_of(body), body.n or 1)
    head: dict[str, object] = {
        "id": new_id("chatcmpl", request),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": llm.spec.name,
    }
    if body.stream:
        head["object"] = "chat.completion.chunk"
        usage_too = body.include_usage
        return await stream_choices(request, llm, choices, head, _deltas, include_usage=usage_too)
    usage = await llm.finish(choices)
    return reply({**head, "choices": [_whole(one) for one in choices], "usage": usage.wire()})


def chat_prompt(messages: list[Message]) -> Prompt:
    """What the chat template makes of the messages. Equal beginnings give equal prefixes."""
    if not messages:
        raise Refusal("messages must not be empty", param="messages")
    turns = [f"<|{m.role}|>\n{_content(m)}\n" for m in messages]
    return text_prompt("".join(turns) + "<|assistant|>\n")


def _content(message: Message) -> str:
    if isinstance(message.content, list):
        for part in message.content:
            if part.text is None:
                raise Refusal(f"content of type {part.type!r} is not emulated", param="messages")
        return "\n".join(part.text or "" for part in message.content)
    return (message.content or "") + bytes(message.tool_calls).decode()


def _whole(choice: Choice) -> dict[str, object]:
    return {
        "index": choice.index,
        "message": {"role": "assistant", "content": choice.answer.text},
        "logprobs": None,
        "finish_reason": choice.answer.finish_reason,
    }


def _deltas(new: Increment) -> list[dict[str, object]]:
    answer = new.choice.answer
    deltas = [
        (
            {"content": piece(answer.text, token, token + 1)},
            answer.finish_reason if token + 1 == answer.tokens else None,
        )
        for token in range(new.start, new.stop)
    ]
    if new.start == 0:
        deltas.insert(0, ({"role": "assistant", "content": ""}, None))
    return [
        {"index": new.choice.index, "delta": delta, "logprobs": None, "finish_reason": reason}
        for delta, reason in deltas
    ]
