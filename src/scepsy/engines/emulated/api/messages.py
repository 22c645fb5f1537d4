"""POST /v1/messages and /v1/messages/count_tokens: Anthropic's wire, as vLLM offers it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from aiohttp import web

from scepsy.engines.emulated.api.chat import Message, chat_prompt
from scepsy.engines.emulated.api.items import Fields
from scepsy.engines.emulated.generation.answer import GeneratedAnswer, piece
from scepsy.engines.emulated.generation.sampling import SamplingBody, sampling_of
from scepsy.engines.emulated.generation.text import count_tokens as tokens_of
from scepsy.engines.emulated.generation.tools import (
    ToolBody,
    ToolCall,
    ToolChoice,
    new_call_id,
    tools_of,
)
from scepsy.engines.emulated.served import AnswerChoice, ServedLlm, Usage, usage_of
from scepsy.engines.emulated.wire.bodies import event, new_id, open_stream, read_json, reply
from scepsy.engines.emulated.wire.errors import RequestRefused

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


class ContentBlock(msgspec.Struct):
    """Text, a call of a tool, or the result of one."""

    type: str
    text: str | None = None
    name: str | None = None
    input: dict[str, object] | None = None
    content: str | list[dict[str, object]] | None = None


class AnthropicTurn(msgspec.Struct):
    role: str
    content: str | list[ContentBlock]


class AnthropicTool(msgspec.Struct):
    name: str
    input_schema: dict[str, object]
    description: str | None = None


class AnthropicChoice(msgspec.Struct):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool = False


class CountBody(msgspec.Struct, kw_only=True):
    """What is common to a request for an answer and one for a count. Unknown fields pass."""

    model: str
    messages: list[AnthropicTurn]
    system: str | list[ContentBlock] | None = None
    tools: list[AnthropicTool] | None = None
    tool_choice: AnthropicChoice | None = None


class MessagesBody(CountBody, kw_only=True):
    max_tokens: int
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None


_decoder = msgspec.json.Decoder(MessagesBody)
_count_decoder = msgspec.json.Decoder(CountBody)


async def messages(request: web.Request, llm: ServedLlm) -> web.StreamResponse:
    body = read_json(await request.read(), _decoder)
    llm.check_name(body.model)
    turns, given = _turns(body), _tools(body)
    chosen = body.tool_choice
    tools = tools_of(
        given,
        _choice(chosen),
        parallel=chosen is None or not chosen.disable_parallel_tool_use,
        rounds=sum(turn.role == "tool" for turn in turns),
    )
    sampling = sampling_of(_sampling_body(body), tools=tools)
    [choice] = llm.choices([chat_prompt(turns, given)], sampling, 1)
    head: Fields = {
        "id": new_id("chatcmpl", request),
        "type": "message",
        "role": "assistant",
        "model": llm.spec.name,
    }
    blocks = _blocks(choice.answer)
    if body.stream:
        return await _stream(request, llm, choice, head, blocks)
    usage = _usage(await llm.finish([choice]))
    reason = _STOP_REASONS[choice.answer.finish_reason]
    return reply({**head, "content": blocks, "stop_reason": reason, "usage": usage})


async def count_tokens(request: web.Request, llm: ServedLlm) -> web.Response:
    body = read_json(await request.read(), _count_decoder)
    llm.check_name(body.model)
    return reply({"input_tokens": chat_prompt(_turns(body), _tools(body)).tokens})


def _turns(body: CountBody) -> list[Message]:
    """The messages of a chat that says the same."""
    said = [Message("system", _text(body.system))] if body.system else []
    for turn in body.messages:
        if isinstance(turn.content, str):
            said.append(Message(turn.role, turn.content))
        else:
            said += [_turn(turn.role, block) for block in turn.content]
    return said


def _turn(role: str, block: ContentBlock) -> Message:
    match block.type:
        case "text" if block.text is not None:
            return Message(role, block.text)
        case "tool_use":
            return Message(role, f"{block.name}({msgspec.json.encode(block.input).decode()})")
        case "tool_result":
            parts = block.content
            if isinstance(parts, list):
                parts = "".join(str(part.get("text", "")) for part in parts)
            return Message("tool", parts or "")
        case "thinking" | "redacted_thinking":
            return Message(role, "")
        case other:
            raise RequestRefused(f"content of type {other!r} is not emulated")


def _text(said: str | Sequence[ContentBlock] | None) -> str:
    return said if isinstance(said, str) else "".join(block.text or "" for block in said or ())


def _tools(body: CountBody) -> list[ToolBody] | None:
    if not body.tools:
        return None
    return [
        ToolBody(name=one.name, description=one.description, parameters=one.input_schema)
        for one in body.tools
    ]


def _choice(given: AnthropicChoice | None) -> ToolChoice:
    match given:
        case None:
            return None
        case AnthropicChoice("any"):
            return "required"
        case AnthropicChoice("tool", str(name)):
            return {"type": "function", "name": name}
        case AnthropicChoice("auto" | "none" as kind):
            return kind
        case _:
            raise RequestRefused(f"tool_choice {given.type!r} is not emulated", param="tool_choice")


def _sampling_body(body: MessagesBody) -> SamplingBody:
    return SamplingBody(
        max_tokens=body.max_tokens,
        stop=body.stop_sequences,
        temperature=body.temperature,
        top_k=body.top_k,
        top_p=body.top_p,
    )


def _usage(usage: Usage) -> Fields:
    """Anthropic counts cached tokens beside the other tokens of the prompt, not among them."""
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }


def _blocks(answer: GeneratedAnswer) -> list[Fields]:
    if not answer.calls:
        return [{"type": "text", "text": answer.text}]
    return [
        {
            "type": "tool_use",
            "id": new_call_id(),
            "name": call.name,
            "input": msgspec.json.decode(call.arguments),
        }
        for call in answer.calls
    ]


async def _stream(
    request: web.Request, llm: ServedLlm, choice: AnswerChoice, head: Fields, blocks: list[Fields]
) -> web.StreamResponse:
    response = await open_stream(request)

    async def send(kind: str, **fields: object) -> None:
        await response.write(event({"type": kind, **fields}, name=kind))

    begun = Usage(choice.prompt.tokens, 0, 0)
    await send("message_start", message={**head, "content": [], "usage": _usage(begun)})
    tokens = _token_events(choice.answer, blocks)
    cached = 0
    async for new in llm.increments([choice]):
        cached = new.cached_tokens or 0
        for events in tokens[new.start : new.stop]:
            for one in events:
                await send(str(one["type"]), **{k: v for k, v in one.items() if k != "type"})
    reason = {"stop_reason": _STOP_REASONS[choice.answer.finish_reason], "stop_sequence": None}
    await send("message_delta", delta=reason, usage=_usage(usage_of([choice], [cached])))
    await send("message_stop")
    return response


def _token_events(answer: GeneratedAnswer, blocks: list[Fields]) -> list[list[Fields]]:
    """The events that each token of the answer brings."""
    if not answer.calls:
        deltas = [
            [_delta(0, "text_delta", text=piece(answer.text, token, token + 1))]
            for token in range(answer.tokens)
        ]
        return _framed(deltas, 0, {"type": "text", "text": ""})
    return [
        events
        for index, (call, block) in enumerate(zip(answer.calls, blocks, strict=True))
        for events in _framed(_call_deltas(call, index), index, {**block, "input": {}})
    ]


def _call_deltas(call: ToolCall, index: int) -> list[list[Fields]]:
    """The name takes the first tokens of a call, and the arguments its last ones."""
    arguments = [
        [_delta(index, "input_json_delta", partial_json=piece(call.arguments, token, token + 1))]
        for token in range(tokens_of(call.arguments))
    ]
    head: list[list[Fields]] = [[] for _ in range(call.tokens - len(arguments))]
    return head + arguments


def _framed(deltas: list[list[Fields]], index: int, begun: Fields) -> list[list[Fields]]:
    """The events of one block's tokens, between its beginning and its end."""
    start: Fields = {"type": "content_block_start", "index": index, "content_block": begun}
    deltas[0].insert(0, start)
    deltas[-1].append({"type": "content_block_stop", "index": index})
    return deltas


def _delta(index: int, kind: str, **fields: str) -> Fields:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}
