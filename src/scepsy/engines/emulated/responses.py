"""POST /v1/responses, the part of it that text in and text out needs."""

from __future__ import annotations

import time

import msgspec
from aiohttp import web

from scepsy.engines.emulated.author import piece
from scepsy.engines.emulated.chat import Message, chat_prompt
from scepsy.engines.emulated.sampling import (
    JsonSchema,
    ResponseFormat,
    SamplingBody,
    StructuredOutputs,
    sampling_of,
)
from scepsy.engines.emulated.served import Choice, ServedLlm, Usage, usage_of
from scepsy.engines.emulated.wire import event, new_id, open_stream, read_json, reply


class TextFormat(msgspec.Struct):
    type: str
    schema: dict[str, object] | None = None


class TextOptions(msgspec.Struct):
    format: TextFormat | None = None


class ResponsesBody(msgspec.Struct, kw_only=True):
    input: str | list[Message]
    model: str | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    ignore_eos: bool = False
    stream: bool | None = None
    text: TextOptions | None = None
    structured_outputs: StructuredOutputs | None = None


_decoder = msgspec.json.Decoder(ResponsesBody)


async def responses(request: web.Request, llm: ServedLlm) -> web.StreamResponse:
    body = read_json(await request.read(), _decoder)
    llm.check_name(body.model)
    llm.check_kind("generate")
    turns = [Message("user", body.input)] if isinstance(body.input, str) else body.input
    if body.instructions:
        turns = [Message("system", body.instructions), *turns]
    [choice] = llm.choices([chat_prompt(turns)], sampling_of(_sampling_body(body)), 1)
    head: dict[str, object] = {
        "id": new_id("resp", request),
        "object": "response",
        "created_at": int(time.time()),
        "model": llm.spec.name,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
    }
    if body.stream:
        return await _stream(request, llm, choice, head)
    return reply({**head, **_end(choice, await llm.finish([choice]), new_id("msg", request))})


def _sampling_body(body: ResponsesBody) -> SamplingBody:
    wanted = body.text.format if body.text else None
    return SamplingBody(
        max_tokens=body.max_output_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        ignore_eos=body.ignore_eos,
        structured_outputs=body.structured_outputs,
        response_format=wanted and ResponseFormat(wanted.type, JsonSchema(wanted.schema)),
    )


def _end(choice: Choice, usage: Usage, item_id: str) -> dict[str, object]:
    """How a finished response differs from one just begun."""
    cut = choice.answer.finish_reason == "length"
    return {
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": [_item(item_id, choice.answer.text)],
        "usage": {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens},
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        },
    }


def _item(item_id: str, text: str | None) -> dict[str, object]:
    return {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "status": "in_progress" if text is None else "completed",
        "content": [] if text is None else [_content(text)],
    }


def _content(text: str) -> dict[str, object]:
    return {"type": "output_text", "text": text, "annotations": []}


async def _stream(
    request: web.Request, llm: ServedLlm, choice: Choice, head: dict[str, object]
) -> web.StreamResponse:
    response = await open_stream(request)
    item_id, text = new_id("msg", request), choice.answer.text
    where = {"item_id": item_id, "output_index": 0, "content_index": 0}
    sent = 0

    async def send(kind: str, body: dict[str, object]) -> None:
        nonlocal sent
        await response.write(event({"type": kind, "sequence_number": sent, **body}, name=kind))
        sent += 1

    begun: dict[str, object] = {**head, "status": "in_progress", "output": [], "usage": None}
    await send("response.created", {"response": begun})
    await send("response.in_progress", {"response": begun})
    start: dict[str, object] = {"output_index": 0, "item": _item(item_id, None)}
    await send("response.output_item.added", start)
    await send("response.content_part.added", {**where, "part": _content("")})
    cached = 0
    async for new in llm.increments([choice]):
        cached = new.cached_tokens or 0
        delta = piece(text, new.start, new.stop)
        await send("response.output_text.delta", {**where, "delta": delta, "logprobs": []})
    await send("response.output_text.done", {**where, "text": text, "logprobs": []})
    await send("response.content_part.done", {**where, "part": _content(text)})
    done: dict[str, object] = {"output_index": 0, "item": _item(item_id, text)}
    await send("response.output_item.done", done)
    end = {**head, **_end(choice, usage_of([choice], [cached]), item_id)}
    kind = "response.incomplete" if end["status"] == "incomplete" else "response.completed"
    await send(kind, {"response": end})
    return response
