"""POST /v1/chat/completions."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
from aiohttp import web

from scepsy.engines.emulated.api.streaming import stream_choices
from scepsy.engines.emulated.generation.answer import piece
from scepsy.engines.emulated.generation.sampling import SamplingBody, sampling_of
from scepsy.engines.emulated.generation.text import Prompt, count_tokens, text_prompt
from scepsy.engines.emulated.generation.tools import (
    ToolBody,
    ToolCall,
    ToolChoice,
    new_call_id,
    tools_of,
)
from scepsy.engines.emulated.served import AnswerChoice, Increment, ServedLlm
from scepsy.engines.emulated.wire.bodies import new_id, read_json, reply
from scepsy.engines.emulated.wire.errors import RequestRefused


class ContentPart(msgspec.Struct):
    type: str
    text: str | None = None


class Message(msgspec.Struct):
    role: str
    content: str | list[ContentPart] | None = None
    tool_calls: msgspec.Raw = msgspec.Raw(b"")


class ChatBody(SamplingBody, kw_only=True):
    messages: list[Message]
    tools: list[ToolBody] | None = None
    tool_choice: ToolChoice = None
    parallel_tool_calls: bool | None = None


_decoder = msgspec.json.Decoder(ChatBody)


async def chat(request: web.Request, llm: ServedLlm) -> web.StreamResponse:
    body = read_json(await request.read(), _decoder)
    llm.check_name(body.model)
    tools = tools_of(
        body.tools,
        body.tool_choice,
        parallel=body.parallel_tool_calls,
        rounds=sum(message.role == "tool" for message in body.messages),
    )
    prompt = chat_prompt(body.messages, body.tools)
    choices = llm.choices([prompt], sampling_of(body, tools=tools), body.n or 1)
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


def chat_prompt(messages: Sequence[Message], tools: Sequence[ToolBody] | None = None) -> Prompt:
    """The prompt that the chat template makes of tools and messages. Conversations that begin alike
    get prompts with a common prefix.
    """
    if not messages:
        raise RequestRefused("Cannot apply chat template to an empty conversation.")
    head = f"<|tools|>\n{msgspec.json.encode(tools).decode()}\n" if tools else ""
    turns = [f"<|{m.role}|>\n{_content(m)}\n" for m in messages]
    return text_prompt(head + "".join(turns) + "<|assistant|>\n")


def _content(message: Message) -> str:
    if isinstance(message.content, list):
        for part in message.content:
            if part.type not in ("text", "input_text") or part.text is None:
                raise RequestRefused(f"content of type {part.type!r} is not emulated")
        return "\n".join(part.text or "" for part in message.content)
    return (message.content or "") + bytes(message.tool_calls).decode()


def _whole(choice: AnswerChoice) -> dict[str, object]:
    answer = choice.answer
    message: dict[str, object] = {"role": "assistant", "content": answer.text}
    if answer.calls:
        calls = [_call(call, new_call_id(), call.arguments) for call in answer.calls]
        message = {"role": "assistant", "content": None, "tool_calls": calls}
    return {
        "index": choice.index,
        "message": message,
        "logprobs": None,
        "finish_reason": answer.finish_reason,
    }


def _call(call: ToolCall, id_: str, arguments: str) -> dict[str, object]:
    return {"id": id_, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _deltas(new: Increment) -> list[dict[str, object]]:
    answer = new.choice.answer
    pieces = _call_pieces(answer.calls) if answer.calls else None
    deltas: list[tuple[dict[str, object], str | None]] = []
    for token in range(new.start, new.stop):
        reason = answer.finish_reason if token + 1 == answer.tokens else None
        if pieces is None:
            deltas.append(({"content": piece(answer.text, token, token + 1)}, reason))
        elif pieces[token] is not None or reason is not None:
            part = pieces[token]
            deltas.append(({} if part is None else {"tool_calls": [part]}, reason))
    if new.start == 0:
        deltas.insert(0, ({"role": "assistant", "content": "" if pieces is None else None}, None))
    return [
        {"index": new.choice.index, "delta": delta, "logprobs": None, "finish_reason": reason}
        for delta, reason in deltas
    ]


def _call_pieces(calls: Sequence[ToolCall]) -> list[dict[str, object] | None]:
    """The part of a tool call that each token adds: the name comes with the first token of a call,
    and the arguments with its last ones.
    """
    pieces: list[dict[str, object] | None] = []
    for index, call in enumerate(calls):
        arguments: list[dict[str, object] | None] = [
            {"index": index, "function": {"arguments": piece(call.arguments, token, token + 1)}}
            for token in range(count_tokens(call.arguments))
        ]
        rest = call.tokens - len(arguments) - 1
        pieces += [{"index": index, **_call(call, new_call_id(), "")}, *[None] * rest, *arguments]
    return pieces
